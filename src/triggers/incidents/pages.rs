//! The pages: no scripts, nothing from elsewhere, and nothing that a text in them could become.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use askama::Template;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use chrono_tz::Tz;
use sha2::{Digest as _, Sha256};

use super::view::{self, Action, Happened, Moment, Notified, Repair, Row};
use super::{Asked, Caller, Filter, PLACE};
use crate::app::App;
use crate::changes;
use crate::domain::{IncidentEvent, IncidentId, Priority};
use crate::operations::incidents::{self, Incident, Shown, Status};
use crate::triggers::principal::Means;
use crate::triggers::session;
use crate::triggers::web::Problem;

/// With what charts look like, so that all pages have one policy.
const STYLE: &str = concat!(
    include_str!("style.css"),
    include_str!("../../operations/capacity/chart/chart.css")
);
/// Seconds after which the list is loaded anew, if nobody says otherwise.
const REFRESH: u32 = 60;
/// Of those that are not over, a page shows so many.
const MOST_OPEN: usize = 200;

/// What every page has around it.
pub(in crate::triggers) struct Frame {
    pub(in crate::triggers) style: &'static str,
    /// Who is there.
    pub(in crate::triggers) reader: Option<String>,
    /// Whether they signed in here, and can sign out here.
    pub(in crate::triggers) by_cookie: bool,
    /// Whether people sign in here with a key, and not with the platform.
    pub(in crate::triggers) has_keys: bool,
}

impl Frame {
    pub(in crate::triggers) fn new(app: &App, reader: Option<&Caller>) -> Self {
        let principals = &app.config.principals;
        Self {
            style: STYLE,
            reader: reader.map(|reader| reader.name.clone()),
            by_cookie: reader.is_some_and(|reader| reader.means == Means::Cookie),
            has_keys: !principals.easy_auth && !principals.keys.is_empty(),
        }
    }
}

#[derive(Template)]
#[template(path = "triggers/incidents/list.html")]
struct List {
    frame: Frame,
    now: Moment,
    refresh: u32,
    /// The same page with the other choice of being loaded anew.
    other_refresh: String,
    statuses: Vec<(&'static str, &'static str, bool)>,
    priorities: Vec<(&'static str, bool)>,
    tenant: String,
    text: String,
    open: Vec<Row>,
    /// Not all that are open could be read.
    cut: bool,
    over: Vec<Row>,
    shows_open: bool,
    shows_over: bool,
    older: Option<String>,
}

#[derive(Template)]
#[template(path = "triggers/incidents/one.html")]
struct One {
    frame: Frame,
    token: String,
    refresh: u32,
    incident: Incident,
    /// The timeline has all of one that is very long.
    title: String,
    status: &'static str,
    mark: &'static str,
    now: Moment,
    next: String,
    /// Who is told next.
    told_next: Option<String>,
    trust: String,
    age: String,
    opened: Moment,
    took: Vec<(&'static str, String)>,
    actions: Vec<Action>,
    levels: Vec<String>,
    repairs: Vec<Repair>,
    evidence: Vec<Happened>,
    told: Vec<Notified>,
    members: Vec<Swallowed>,
    member_count: usize,
    timeline: Vec<Happened>,
}

/// One signal that a storm swallowed.
struct Swallowed {
    at: Moment,
    title: String,
    key: String,
    priority: &'static str,
    cleared: Option<Moment>,
}

#[derive(Template)]
#[template(path = "triggers/incidents/sign_in.html")]
struct SignIn {
    frame: Frame,
    back: String,
    why: Option<&'static str>,
}

#[derive(Template)]
#[template(path = "triggers/incidents/problem.html")]
struct Trouble {
    frame: Frame,
    about: Option<IncidentId>,
    heading: String,
    why: String,
    sign_in: bool,
}

/// What a page may do: show itself, and send forms to where it came from.
fn policy() -> &'static str {
    static POLICY: OnceLock<String> = OnceLock::new();
    POLICY.get_or_init(|| {
        let style = BASE64_STANDARD.encode(Sha256::digest(STYLE.as_bytes()));
        format!(
            "default-src 'none'; style-src 'sha256-{style}'; img-src data:; form-action 'self'; \
             base-uri 'none'; frame-ancestors 'none'"
        )
    })
}

pub(in crate::triggers) fn page(
    status: StatusCode,
    template: &impl Template,
) -> Result<Response, Problem> {
    let text = template.render().map_err(anyhow::Error::from)?;
    let mut response = (status, Html(text)).into_response();
    let policy = HeaderValue::from_static(policy());
    let headers: [(HeaderName, HeaderValue); 4] = [
        (header::CONTENT_SECURITY_POLICY, policy),
        (
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ),
        (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
        (
            header::REFERRER_POLICY,
            HeaderValue::from_static("no-referrer"),
        ),
    ];
    response.headers_mut().extend(headers);
    Ok(response)
}

/// The estate's, or UTC where there is none that can be read: an incident is shown whatever else
/// is wrong.
pub(in crate::triggers) fn zone(app: &App) -> Tz {
    app.estate().map_or(Tz::UTC, |estate| estate.zone)
}

/// Those first that are not over, the most urgent first; then those that are, newest first.
pub(super) async fn list(
    app: &App,
    reader: Option<Caller>,
    asked: &Asked,
    filter: &Filter,
) -> Result<Response, Problem> {
    let (now, zone) = (app.clock.now(), zone(app));
    let wanted = |status: &Status| filter.statuses.is_empty() || filter.statuses.contains(status);
    let part = |over: bool| -> Vec<Status> {
        let all = Status::ALL.into_iter().filter(wanted);
        all.filter(|status| (*status == Status::Resolved) == over)
            .collect()
    };
    let (open, over) = (part(false), part(true));
    // What follows on a next page is over.
    let shows_open = !open.is_empty() && asked.from.is_none();
    let shows_over = !over.is_empty();
    let (mut listed, mut cut) = (Vec::new(), false);
    if shows_open {
        let filter = Filter {
            statuses: open,
            ..filter.clone()
        };
        let page = incidents::list(app, &filter, None, MOST_OPEN).await?;
        cut = page.next.is_some();
        listed = page.incidents;
        listed.sort_by_key(|incident| {
            let status = incident.status_at(now);
            (
                status,
                std::cmp::Reverse((incident.priority, incident.opened)),
            )
        });
    }
    let (mut ended, mut older) = (Vec::new(), None);
    if shows_over {
        let filter = Filter {
            statuses: over,
            ..filter.clone()
        };
        let page = incidents::list(app, &filter, asked.from.clone(), asked.most()).await?;
        ended = page.incidents;
        older = page
            .next
            .map(|from| link(asked, Some(&from), asked.refresh));
    }
    let rows = |list: &[Incident]| list.iter().map(|one| view::row(one, now, zone)).collect();
    let refresh = asked.refresh.unwrap_or(REFRESH);
    let refresh = if refresh == 0 {
        0
    } else {
        refresh.clamp(5, 3600)
    };
    let other = if refresh == 0 { REFRESH } else { 0 };
    let template = List {
        frame: Frame::new(app, reader.as_ref()),
        now: view::moment(now, zone),
        refresh,
        other_refresh: link(asked, asked.from.as_deref(), Some(other)),
        statuses: Status::ALL
            .into_iter()
            .map(|s| (s.as_str(), view::mark(s), filter.statuses.contains(&s)))
            .collect(),
        priorities: Priority::ALL
            .into_iter()
            .map(|p| (p.as_str(), filter.priority == Some(p)))
            .collect(),
        tenant: asked.tenant.clone(),
        text: asked.text.clone(),
        open: rows(&listed),
        cut,
        over: rows(&ended),
        shows_open,
        shows_over,
        older,
    };
    page(StatusCode::OK, &template)
}

/// The list with the same filter.
fn link(asked: &Asked, from: Option<&str>, refresh: Option<u32>) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in [
        ("status", &asked.status),
        ("priority", &asked.priority),
        ("tenant", &asked.tenant),
        ("text", &asked.text),
    ] {
        if !value.is_empty() {
            query.append_pair(name, value);
        }
    }
    if let Some(most) = asked.most {
        query.append_pair("most", &most.to_string());
    }
    if let Some(from) = from {
        query.append_pair("from", from);
    }
    if let Some(refresh) = refresh {
        query.append_pair("refresh", &refresh.to_string());
    }
    format!("{PLACE}?{}", query.finish())
}

/// Everything that is known of an incident, and what can be done.
pub(super) async fn one(
    app: &App,
    headers: &HeaderMap,
    reader: Option<Caller>,
    asked: &Asked,
    shown: Shown,
) -> Result<Response, Problem> {
    let (now, zone) = (app.clock.now(), zone(app));
    let mut records = BTreeMap::new();
    for line in &shown.timeline {
        if let IncidentEvent::Repair {
            change: Some(id), ..
        } = &line.event
            && let Some(record) = changes::find(app, id).await?
        {
            records.insert(id.clone(), record);
        }
    }
    let repairs = shown.timeline.iter().filter_map(|line| {
        let change = match &line.event {
            IncidentEvent::Repair { change, .. } => change.as_ref(),
            _ => None,
        };
        let record = change.and_then(|id| records.get(id));
        view::repair(&line.event, line.at, record, zone)
    });
    let repairs = repairs.collect();
    let timeline = shown.timeline.iter();
    let evidence = timeline
        .clone()
        .filter(|line| matches!(line.event, IncidentEvent::Evidence { .. }))
        .map(|line| view::happened(&line.event, line.at, zone))
        .collect();
    let timeline = timeline.map(|line| view::happened(&line.event, line.at, zone));
    let timeline = timeline.collect();
    let members = shown.members.iter().map(|member| Swallowed {
        at: view::moment(member.at, zone),
        title: view::short(&member.signal.title, 200),
        key: member.signal.key.to_string(),
        priority: member.signal.priority.as_str(),
        cleared: member.cleared.map(|at| view::moment(at, zone)),
    });
    let members = members.collect();
    let took = [
        ("acknowledged after", shown.seconds_to_acknowledge),
        ("mitigated after", shown.seconds_to_mitigate),
        ("resolved after", shown.seconds_to_resolve),
    ];
    let took = took.into_iter().filter_map(|(what, seconds)| {
        Some((what, view::span(chrono::Duration::seconds(seconds?))))
    });
    let took = took.collect();
    let told_next = view::told_next(&shown, now, zone);
    let incident = shown.incident;
    let opened = incident.opened.unwrap_or(now);
    // Whoever sends a key with every request has no use for forms.
    let token = match &reader {
        Some(reader) if reader.means != Means::Key => {
            session::token(app, headers, &reader.name).await?
        }
        _ => String::new(),
    };
    let levels = app.estate().map(|estate| {
        let levels = estate.oncall.levels.iter();
        levels.map(|level| level.name.clone()).collect()
    });
    let template = One {
        frame: Frame::new(app, reader.as_ref()),
        token,
        refresh: asked
            .refresh
            .map_or(0, |r| if r == 0 { 0 } else { r.clamp(5, 3600) }),
        title: view::short(&incident.title, 300),
        status: shown.status_now.as_str(),
        mark: view::mark(shown.status_now),
        now: view::moment(now, zone),
        next: view::next(&incident, now, zone),
        told_next,
        trust: view::trust(&incident.trust),
        age: view::span(now - opened),
        opened: view::moment(opened, zone),
        took,
        actions: view::actions(shown.status_now),
        levels: levels.unwrap_or_default(),
        repairs,
        evidence,
        told: shown
            .told
            .iter()
            .map(|told| view::notified(told, zone))
            .collect(),
        members,
        member_count: shown.member_count,
        timeline,
        incident,
    };
    page(StatusCode::OK, &template)
}

/// The page on which people of an embedded estate sign in; `why` it did not work.
pub(super) fn sign_in(
    app: &App,
    back: &str,
    why: Option<&'static str>,
) -> Result<Response, Problem> {
    let status = if why.is_some() {
        StatusCode::UNAUTHORIZED
    } else {
        StatusCode::OK
    };
    let template = SignIn {
        frame: Frame::new(app, None),
        back: back.to_owned(),
        why,
    };
    page(status, &template)
}

/// A refusal of a request that no function has seen, so that nobody knows whose it was.
pub(super) fn refusal(problem: &Problem) -> Response {
    let frame = Frame {
        style: STYLE,
        reader: None,
        by_cookie: false,
        has_keys: false,
    };
    trouble(frame, None, problem)
}

/// A refusal, and what to do; `about` an incident, if it is one that may be there.
pub(super) fn problem(
    app: &App,
    reader: Option<&Caller>,
    about: Option<IncidentId>,
    problem: &Problem,
) -> Response {
    trouble(Frame::new(app, reader), about, problem)
}

fn trouble(frame: Frame, about: Option<IncidentId>, problem: &Problem) -> Response {
    let status = problem.status();
    let template = Trouble {
        frame,
        about: about.filter(|_| status != StatusCode::NOT_FOUND),
        heading: match status {
            StatusCode::NOT_FOUND => "It is not here".into(),
            StatusCode::SERVICE_UNAVAILABLE => "Not now".into(),
            _ if status.is_server_error() => "Something is wrong here".into(),
            _ => "This was not done".into(),
        },
        why: problem.why().to_owned(),
        sign_in: status == StatusCode::UNAUTHORIZED,
    };
    page(status, &template).unwrap_or_else(IntoResponse::into_response)
}
