//! `/api/capacity`: what was used, what is forecast and what there should be, for browsers as a page and
//! for programs as JSON. It shows all of the estate, so it is for operators only.

mod view;

use std::sync::Arc;

use askama::Template;
use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde_json::json;

use super::incidents::{Frame, Moment, answer, moment, page, reader, wants_page, zone};
use super::principal::Caller;
use super::web::Problem;
use crate::app::App;
use crate::domain::ResourceId;
use crate::operations::capacity::{self, Advised, Document, Place};
use view::Item;

/// So many things stand on a page, each with its charts.
const MOST: usize = 24;

#[derive(Template)]
#[template(path = "triggers/capacity/page.html")]
struct Page {
    frame: Frame,
    now: Moment,
    /// When recommendations were made; `None`: never yet.
    made: Option<Moment>,
    money: Option<String>,
    text: String,
    /// What could not be read.
    problems: Vec<String>,
    items: Vec<Item>,
    all: usize,
    from: usize,
    next: Option<String>,
}

/// What is asked for in a query.
#[derive(Debug, Default, PartialEq, Eq)]
struct Asked {
    /// A part of a resource's name.
    text: String,
    from: usize,
}

impl Asked {
    fn read(query: Option<&str>) -> Result<Self, Problem> {
        let mut asked = Self::default();
        for (key, value) in url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            let value = value.trim();
            match key.as_ref() {
                "text" => asked.text = value.to_owned(),
                "from" if !value.is_empty() => {
                    asked.from = value.parse().map_err(|_| {
                        let why = format!("`from` is a number, and not `{value}`");
                        Problem::new(StatusCode::BAD_REQUEST, why)
                    })?;
                }
                _ => {}
            }
        }
        Ok(asked)
    }

    fn wants(&self, resource: &str) -> bool {
        let wanted = self.text.to_lowercase();
        wanted.is_empty() || resource.to_lowercase().contains(&wanted)
    }
}

/// Capacity of all that the estate names, or of what has `text` in its name.
pub(super) async fn show(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let shown = async {
        let reader = reader(&app, &headers)?;
        let asked = Asked::read(query.as_deref())?;
        let documents = capacity::documents(&app).await?;
        let advised = capacity::last(&app).await?;
        if wants_page(&headers) {
            return as_page(&app, reader, &asked, &documents, advised.as_ref());
        }
        Ok(Json(as_json(&app, &asked, documents, advised)).into_response())
    };
    answer(&app, &headers, None, shown.await)
}

/// What of all is shown at once.
struct Part {
    items: Vec<Item>,
    all: usize,
    from: usize,
    next: Option<String>,
}

impl Part {
    /// What was asked for, of all that there is.
    fn of(mut items: Vec<Item>, asked: &Asked) -> Self {
        items.retain(|item| asked.wants(&item.resource));
        let all = items.len();
        let from = asked.from.min(all);
        let next = (from + MOST < all).then(|| {
            let mut query = url::form_urlencoded::Serializer::new(String::new());
            if !asked.text.is_empty() {
                query.append_pair("text", &asked.text);
            }
            query.append_pair("from", &(from + MOST).to_string());
            format!("/api/capacity?{}", query.finish())
        });
        Self {
            items: items.drain(from..(from + MOST).min(all)).collect(),
            all,
            from,
            next,
        }
    }

    fn has(&self, resource: &ResourceId) -> bool {
        self.items.iter().any(|item| item.id == *resource)
    }
}

/// The same things as on the page: history and forecast of an estate are megabytes.
fn as_json(
    app: &App,
    asked: &Asked,
    documents: Vec<(Place, Document)>,
    advised: Option<Advised>,
) -> serde_json::Value {
    let now = app.clock.now();
    let items = view::items(&documents, advised.as_ref(), now, zone(app));
    let part = Part::of(items, asked);
    let monthly = advised.as_ref().and_then(Advised::monthly);
    let advised = advised.map(|mut advised| {
        advised
            .recommendations
            .retain(|one| part.has(&one.resource));
        for one in &mut advised.recommendations {
            one.urgency = one.urgency_at(now);
        }
        advised
    });
    let places = documents.into_iter().map(|(place, mut document)| {
        document
            .subjects
            .retain(|subject| part.has(&subject.resource));
        json!({ "name": place.name, "stamp": place.stamp, "forecasts": document })
    });
    json!({
        "at": now,
        "recommended": advised,
        "monthly": monthly,
        "places": places.collect::<Vec<_>>(),
        "all": part.all,
        "from": part.from,
        "next": part.next,
    })
}

fn as_page(
    app: &App,
    reader: Option<Caller>,
    asked: &Asked,
    documents: &[(Place, Document)],
    advised: Option<&Advised>,
) -> Result<Response, Problem> {
    let (now, zone) = (app.clock.now(), zone(app));
    let part = Part::of(view::items(documents, advised, now, zone), asked);
    // A chart is drawn when it is shown.
    let shown = part.items.into_iter().enumerate();
    let items = shown
        .map(|(number, item)| view::drawn(item, number, documents, advised, zone))
        .collect();
    let template = Page {
        frame: Frame::new(app, reader.as_ref()),
        now: moment(now, zone),
        made: advised.map(|advised| moment(advised.made, zone)),
        money: advised
            .and_then(Advised::monthly)
            .map(|all| view::together(&all)),
        text: asked.text.clone(),
        problems: view::problems(documents, advised, now, zone),
        items,
        all: part.all,
        from: part.from,
        next: part.next,
    };
    page(StatusCode::OK, &template)
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::operations::capacity::{PlaceKind, Subject};

    #[test]
    fn what_is_asked_for_is_told_in_parts_and_the_next_one_is_named() {
        let account = ResourceId::new("s", "g", "Microsoft.DocumentDB/databaseAccounts", "a");
        let subject = |number: usize| Subject {
            resource: account
                .child("sqlDatabases", "d")
                .child("containers", &format!("c{number:02}")),
            series: Vec::new(),
        };
        let place = Place {
            kind: PlaceKind::Account {
                account: account.clone(),
                containers: Vec::new(),
            },
            name: "a".into(),
            stamp: "one".into(),
            subscription: "s".into(),
        };
        let document = Document {
            subjects: (0..60).map(subject).collect(),
            ..Document::default()
        };
        let documents = [(place, document)];
        let part = |text: &str, from| {
            let asked = Asked {
                text: text.into(),
                from,
            };
            let items = view::items(&documents, None, DateTime::UNIX_EPOCH, chrono_tz::UTC);
            Part::of(items, &asked)
        };
        let all = part("", 0);
        assert_eq!((all.items.len(), all.all, all.from), (MOST, 60, 0));
        assert_eq!(all.next.as_deref(), Some("/api/capacity?from=24"));
        assert!(all.has(&subject(23).resource) && !all.has(&subject(24).resource));
        let last = part("C", 48);
        assert_eq!((last.items.len(), last.all, last.next), (12, 60, None));
        let named = part("a/d", 24);
        assert_eq!(
            named.next.as_deref(),
            Some("/api/capacity?text=a%2Fd&from=48")
        );
        // What is searched is what is shown, and not the address behind it.
        assert_eq!(part("databaseAccounts", 0).all, 0);
        assert_eq!(part("", 90).from, 60);
    }

    #[test]
    fn a_query_is_read_or_what_is_wrong_with_it_is_told() {
        let read = |query| Asked::read(Some(query)).map_err(|problem| problem.why().to_owned());
        let asked = |text: &str, from| Asked {
            text: text.into(),
            from,
        };
        assert_eq!(read(""), Ok(asked("", 0)));
        assert_eq!(read("text=%E5%BF%9C&from=24&other=1"), Ok(asked("応", 24)));
        assert_eq!(read("from="), Ok(asked("", 0)));
        assert_eq!(
            read("from=x"),
            Err("`from` is a number, and not `x`".into())
        );
        assert!(asked("Threads", 0).wants("/a/threads"));
        assert!(!asked("threads", 0).wants("/a/runs"));
    }
}
