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
use crate::operations::capacity::{self, Advised, Document, Place};
use view::Item;

/// So many charts stand on a page.
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

fn as_json(
    app: &App,
    asked: &Asked,
    documents: Vec<(Place, Document)>,
    advised: Option<Advised>,
) -> serde_json::Value {
    let monthly = advised.as_ref().and_then(Advised::monthly);
    let advised = advised.map(|mut advised| {
        advised
            .recommendations
            .retain(|one| asked.wants(one.resource.as_str()));
        advised
    });
    let places = documents.into_iter().map(|(place, mut document)| {
        document
            .subjects
            .retain(|subject| asked.wants(subject.resource.as_str()));
        json!({ "name": place.name, "stamp": place.stamp, "forecasts": document })
    });
    json!({
        "at": app.clock.now(),
        "recommended": advised,
        "monthly": monthly,
        "places": places.collect::<Vec<_>>(),
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
    let mut items = view::items(documents, advised, now, zone);
    items.retain(|item| asked.wants(&item.resource));
    let all = items.len();
    let from = asked.from.min(all);
    let shown: Vec<Item> = items.drain(from..(from + MOST).min(all)).collect();
    // A chart is drawn when it is shown.
    let shown: Vec<Item> = shown
        .into_iter()
        .enumerate()
        .map(|(number, item)| view::drawn(item, number, documents, advised, zone))
        .collect();
    let next = (from + MOST < all).then(|| {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        if !asked.text.is_empty() {
            query.append_pair("text", &asked.text);
        }
        query.append_pair("from", &(from + MOST).to_string());
        format!("/api/capacity?{}", query.finish())
    });
    let template = Page {
        frame: Frame::new(app, reader.as_ref()),
        now: moment(now, zone),
        made: advised.map(|advised| moment(advised.made, zone)),
        money: advised.and_then(Advised::monthly).map(view::money),
        text: asked.text.clone(),
        problems: view::problems(documents, advised, now, zone),
        items: shown,
        all,
        from,
        next,
    };
    page(StatusCode::OK, &template)
}

#[cfg(test)]
mod tests {
    use super::*;

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
