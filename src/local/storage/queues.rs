//! The Queue service. Source: Queue Service REST API.

use std::fmt::Write as _;

use axum::http::Method;
use axum::response::Response;
use quick_xml::escape::escape;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::db::Db;
use super::wire::{Call, Refusal, finish, reply, rfc1123_ms};

const WEEK_SECONDS: i64 = 7 * 24 * 3600;
/// A message holds this much text.
const MOST_TEXT_BYTES: usize = 64 * 1024;

pub(super) async fn answer(db: &Db, call: Call) -> Result<Response, Refusal> {
    let mut rest = call.rest.split('/');
    let (kind, id) = (
        rest.next().unwrap_or_default().to_owned(),
        rest.next().map(str::to_owned),
    );
    match (&call.method, kind.as_str(), id) {
        (&Method::PUT, "", None) if call.param("comp").is_none() => create(db, call).await,
        (&Method::DELETE, "", None) => {
            let gone = db.run(move |db| {
                db.execute("DELETE FROM messages WHERE queue = ?1", [&call.first])?;
                Ok(db.execute("DELETE FROM queues WHERE name = ?1", [&call.first])?)
            });
            if gone.await? == 0 {
                return Err(no_queue());
            }
            finish(reply(204), "")
        }
        (&Method::GET | &Method::HEAD, "", None) if call.param("comp") == Some("metadata") => {
            let count: i64 = db
                .run(move |db| {
                    must_exist(db, &call.first)?;
                    Ok(db.query_row(
                        "SELECT count(*) FROM messages WHERE queue = ?1",
                        [&call.first],
                        |r| r.get(0),
                    )?)
                })
                .await?;
            finish(
                reply(200).header("x-ms-approximate-messages-count", count),
                "",
            )
        }
        (&Method::POST, "messages", None) => put(db, call).await,
        (&Method::GET, "messages", None) => get(db, call).await,
        (&Method::DELETE, "messages", None) => {
            db.run(move |db| {
                must_exist(db, &call.first)?;
                Ok(db.execute("DELETE FROM messages WHERE queue = ?1", [&call.first])?)
            })
            .await?;
            finish(reply(204), "")
        }
        (&Method::DELETE, "messages", Some(id)) => {
            db.run(move |db| {
                held(db, &call, &id)?;
                Ok(db.execute("DELETE FROM messages WHERE id = ?1", [&id])?)
            })
            .await?;
            finish(reply(204), "")
        }
        (&Method::PUT, "messages", Some(id)) => update(db, call, id).await,
        _ => Err(call.unsupported()),
    }
}

fn no_queue() -> Refusal {
    Refusal::new(404, "QueueNotFound", "the queue does not exist")
}

fn must_exist(db: &Connection, queue: &str) -> Result<(), Refusal> {
    db.prepare_cached("SELECT 1 FROM queues WHERE name = ?1")?
        .query_row([queue], |_| Ok(()))
        .optional()?
        .ok_or_else(no_queue)
}

/// The message must be there, and the receipt the newest one.
fn held(db: &Connection, call: &Call, id: &str) -> Result<(), Refusal> {
    let receipt: Option<String> = db
        .prepare_cached("SELECT receipt FROM messages WHERE id = ?1 AND queue = ?2")?
        .query_row([id, &call.first], |r| r.get(0))
        .optional()?;
    match receipt {
        None => Err(Refusal::new(
            404,
            "MessageNotFound",
            "the message does not exist",
        )),
        Some(receipt) if call.param("popreceipt") != Some(&receipt) => Err(Refusal::new(
            400,
            "PopReceiptMismatch",
            "the pop receipt is not the newest",
        )),
        Some(_) => Ok(()),
    }
}

async fn create(db: &Db, call: Call) -> Result<Response, Refusal> {
    let new = db
        .run(move |db| {
            Ok(db.execute(
                "INSERT OR IGNORE INTO queues (name) VALUES (?1)",
                [&call.first],
            )?)
        })
        .await?;
    finish(reply(if new == 1 { 201 } else { 204 }), "")
}

/// The text between `<MessageText>` and its end, as it was before XML.
fn message_text(body: &[u8]) -> Result<String, Refusal> {
    #[derive(serde::Deserialize)]
    struct QueueMessage {
        #[serde(rename = "MessageText", default)]
        text: String,
    }
    let bad = || Refusal::new(400, "InvalidXmlDocument", "the body is not a QueueMessage");
    let text = std::str::from_utf8(body).map_err(|_| bad())?;
    let message: QueueMessage = quick_xml::de::from_str(text).map_err(|_| bad())?;
    if message.text.len() > MOST_TEXT_BYTES {
        return Err(Refusal::new(
            413,
            "RequestBodyTooLarge",
            "a message holds 64 KiB",
        ));
    }
    Ok(message.text)
}

async fn put(db: &Db, call: Call) -> Result<Response, Refusal> {
    let text = message_text(&call.body)?;
    let hidden = call.number("visibilitytimeout", 0, 0..=WEEK_SECONDS)?;
    let lives = call.number("messagettl", WEEK_SECONDS, -1..=i64::from(i32::MAX))?;
    let now = call.now;
    let expires = if lives < 0 {
        253_402_300_799_000
    } else {
        now + lives * 1000
    };
    let (id, receipt) = (
        uuid::Uuid::new_v4().to_string(),
        uuid::Uuid::new_v4().to_string(),
    );
    let visible = now + hidden * 1000;
    let (row_id, row_receipt) = (id.clone(), receipt.clone());
    db.run(move |db| {
        must_exist(db, &call.first)?;
        db.prepare_cached("INSERT INTO messages VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0)")?
            .execute(params![
                row_id,
                call.first,
                text,
                now,
                expires,
                visible,
                row_receipt
            ])?;
        Ok(())
    })
    .await?;
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><QueueMessagesList><QueueMessage><MessageId>{id}</MessageId><InsertionTime>{}</InsertionTime><ExpirationTime>{}</ExpirationTime><PopReceipt>{receipt}</PopReceipt><TimeNextVisible>{}</TimeNextVisible></QueueMessage></QueueMessagesList>",
        rfc1123_ms(now),
        rfc1123_ms(expires),
        rfc1123_ms(visible)
    );
    finish(reply(201).header("content-type", "application/xml"), body)
}

async fn get(db: &Db, call: Call) -> Result<Response, Refusal> {
    let most = call.number("numofmessages", 1, 1..=32)?;
    let hidden = call.number("visibilitytimeout", 30, 1..=WEEK_SECONDS)?;
    let peek = call.param("peekonly") == Some("true");
    let body = db
        .run(move |db| {
            must_exist(db, &call.first)?;
            let now = call.now;
            db.prepare_cached("DELETE FROM messages WHERE queue = ?1 AND expires <= ?2")?
                .execute(params![call.first, now])?;
            let mut select = db.prepare_cached(
                "SELECT id, text, inserted, expires, dequeued FROM messages WHERE queue = ?1 AND visible <= ?2 ORDER BY visible, rowid LIMIT ?3",
            )?;
            let rows = select
                .query_map(params![call.first, now, most], |r| {
                    Ok((r.get::<_, String>(0)?, r.get::<_, String>(1)?, r.get::<_, i64>(2)?, r.get::<_, i64>(3)?, r.get::<_, i64>(4)?))
                })?
                .collect::<Result<Vec<_>, _>>()?;
            let mut xml = String::from("<?xml version=\"1.0\" encoding=\"utf-8\"?><QueueMessagesList>");
            for (id, text, inserted, expires, dequeued) in rows {
                let _ = write!(
                    xml,
                    "<QueueMessage><MessageId>{id}</MessageId><InsertionTime>{}</InsertionTime><ExpirationTime>{}</ExpirationTime>",
                    rfc1123_ms(inserted), rfc1123_ms(expires)
                );
                let mut count = dequeued;
                if !peek {
                    let receipt = uuid::Uuid::new_v4().to_string();
                    let visible = now + hidden * 1000;
                    count += 1;
                    db.prepare_cached("UPDATE messages SET visible = ?1, receipt = ?2, dequeued = ?3 WHERE id = ?4")?
                        .execute(params![visible, receipt, count, id])?;
                    let _ = write!(xml, "<PopReceipt>{receipt}</PopReceipt><TimeNextVisible>{}</TimeNextVisible>", rfc1123_ms(visible));
                }
                let _ = write!(xml, "<DequeueCount>{count}</DequeueCount><MessageText>{}</MessageText></QueueMessage>", escape(&text));
            }
            xml.push_str("</QueueMessagesList>");
            Ok(xml)
        })
        .await?;
    finish(reply(200).header("content-type", "application/xml"), body)
}

async fn update(db: &Db, call: Call, id: String) -> Result<Response, Refusal> {
    let text = if call.body.is_empty() {
        None
    } else {
        Some(message_text(&call.body)?)
    };
    let hidden = call.number("visibilitytimeout", 0, 0..=WEEK_SECONDS)?;
    let visible = call.now + hidden * 1000;
    let receipt = uuid::Uuid::new_v4().to_string();
    let new = receipt.clone();
    db.run(move |db| {
        held(db, &call, &id)?;
        db.execute(
            "UPDATE messages SET visible = ?1, receipt = ?2, text = coalesce(?3, text) WHERE id = ?4",
            params![visible, new, text, id],
        )?;
        Ok(())
    })
    .await?;
    finish(
        reply(204)
            .header("x-ms-popreceipt", receipt)
            .header("x-ms-time-next-visible", rfc1123_ms(visible)),
        "",
    )
}
