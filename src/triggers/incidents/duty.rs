//! Who is on call, as a page beside those of incidents.

use askama::Template;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use super::pages::{Frame, page, zone};
use super::view::{self, Moment};
use crate::app::App;
use crate::operations::oncall::Roster;
use crate::triggers::principal::caller;
use crate::triggers::web::Problem;

#[derive(Template)]
#[template(path = "triggers/incidents/duty.html")]
struct Duty {
    frame: Frame,
    at: Moment,
    levels: Vec<Level>,
}

struct Level {
    name: String,
    /// Who is told for it; `None` if nobody is.
    told: Option<(String, String, String)>,
}

/// Who is told at every level, and through what.
pub(in crate::triggers) fn on_call(
    app: &App,
    headers: &HeaderMap,
    roster: Roster,
) -> Result<Response, Problem> {
    let levels = roster.levels.into_iter().map(|one| Level {
        name: one.level,
        told: one.reached.map(|told| {
            let who = format!("{} ({})", told.level, told.person);
            (who, told.channels.join(", "), told.why)
        }),
    });
    let reader = caller(app, headers).ok();
    let template = Duty {
        frame: Frame::new(app, reader.as_ref()),
        at: view::moment(roster.at, zone(app)),
        levels: levels.collect(),
    };
    page(StatusCode::OK, &template)
}
