//! `/api/incidents`: what is wrong, for browsers as pages and for programs as JSON, and what people
//! do about it.
//!
//! The Functions host asks for a function key, which a link in a notice does not carry; in Azure who is
//! asking has to be known besides, also for reading.

mod duty;
mod pages;
mod view;

pub(super) use duty::on_call;
pub(super) use pages::{Frame, page, zone};
pub(super) use view::{Moment, moment};

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::principal::{Caller, Means, caller, meant};
use super::session;
use super::web::{Origin, Problem, kind_of_body, origin, read};
use crate::app::App;
use crate::domain::IncidentId;
use crate::operations::incidents::{self, Filter, Refusal, Said, Status};
use crate::store::Error;

const PLACE: &str = "/api/incidents";

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let status = match refusal {
            Refusal::Missing => StatusCode::NOT_FOUND,
            Refusal::State(..) => StatusCode::CONFLICT,
            Refusal::Invalid(_) => StatusCode::BAD_REQUEST,
            Refusal::Other(error) => {
                return match error.downcast::<Error>() {
                    Ok(Error::NotOurs(_)) => Self::new(
                        StatusCode::SERVICE_UNAVAILABLE,
                        "somebody else has been at this incident all the time; nothing was taken, send it again",
                    ),
                    Ok(error) => error.into(),
                    Err(error) => error.into(),
                };
            }
        };
        Self::new(status, refusal.to_string())
    }
}

fn missing() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "there is no such incident: the list is at /api/incidents",
    )
}

/// What is asked for in a query. Repeated keys are joined by commas, as the host does it.
#[derive(Debug, Clone, Default)]
struct Asked {
    status: String,
    priority: String,
    tenant: String,
    text: String,
    from: Option<String>,
    most: Option<usize>,
    /// Seconds between which a page is loaded anew; 0: it is not.
    refresh: Option<u32>,
    /// Where a page is to lead after signing in.
    back: String,
}

impl Asked {
    fn read(query: Option<&str>) -> Result<Self, Problem> {
        let mut asked = Self::default();
        let number = |key: &str, value: &str| {
            value.parse::<u32>().map_err(|_| {
                let why = format!("`{key}` is a number, and not `{value}`");
                Problem::new(StatusCode::BAD_REQUEST, why)
            })
        };
        for (key, value) in url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            let value = value.trim().to_owned();
            match key.as_ref() {
                _ if value.is_empty() => {}
                "status" if asked.status.is_empty() => asked.status = value,
                "status" => asked.status = format!("{},{value}", asked.status),
                "priority" => asked.priority = value,
                "tenant" => asked.tenant = value,
                "text" => asked.text = value,
                "from" => asked.from = Some(value),
                "most" => asked.most = Some(number("most", &value)? as usize),
                "refresh" => asked.refresh = Some(number("refresh", &value)?),
                "back" => asked.back = value,
                _ => {}
            }
        }
        Ok(asked)
    }

    fn filter(&self) -> Result<Filter, Problem> {
        let wrong = |why: String| Problem::new(StatusCode::BAD_REQUEST, why);
        let mut statuses = Vec::new();
        for name in self.status.split(',').map(str::trim) {
            if name.is_empty() {
                continue;
            }
            let status = Status::ALL.into_iter().find(|s| s.as_str() == name);
            statuses.push(status.ok_or_else(|| {
                let known = Status::ALL.map(Status::as_str).join(", ");
                wrong(format!("`{name}` is no status: {known}"))
            })?);
        }
        let some = |text: &String| (!text.is_empty()).then(|| text.clone());
        Ok(Filter {
            statuses,
            priority: some(&self.priority)
                .map(|p| p.parse().map_err(wrong))
                .transpose()?,
            tenant: some(&self.tenant),
            text: some(&self.text),
        })
    }

    fn most(&self) -> usize {
        self.most.unwrap_or(50).clamp(1, 500)
    }
}

/// Whether a page is wanted: browsers say so.
pub(super) fn wants_page(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|accept| accept.to_str().ok())
        .any(|accept| accept.to_ascii_lowercase().contains("text/html"))
}

fn is_form(headers: &HeaderMap) -> bool {
    kind_of_body(headers).eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

/// Whoever is there, where that is known; who is not may still read in an embedded estate, as with
/// all of its other functions.
///
/// Errors: 401 where nobody who is unknown may read.
pub(super) fn reader(app: &App, headers: &HeaderMap) -> Result<Option<Caller>, Problem> {
    let is_embedded = !app.config.principals.easy_auth && !app.config.principals.keys.is_empty();
    match caller(app, headers) {
        Ok(caller) => Ok(Some(caller)),
        Err(_) if is_embedded => Ok(None),
        Err(problem) => Err(problem),
    }
}

/// A refusal of a request that no function has seen.
pub(super) fn refusal(headers: &HeaderMap, problem: Problem) -> Response {
    if wants_page(headers) {
        pages::refusal(&problem)
    } else {
        problem.into_response()
    }
}

/// As JSON nothing is changed of an answer; as a page a refusal is one too, and leads back to the
/// incident that it is about.
pub(super) fn answer(
    app: &App,
    headers: &HeaderMap,
    about: Option<&str>,
    answer: Result<Response, Problem>,
) -> Response {
    let about = about.and_then(|id| id.parse().ok());
    let mut response = match answer {
        Ok(response) => response,
        Err(problem) if wants_page(headers) => {
            let reader = caller(app, headers).ok();
            pages::problem(app, reader.as_ref(), about, &problem)
        }
        Err(problem) => problem.into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(header::VARY, header::HeaderValue::from_static("Accept"));
    headers.insert(
        header::CACHE_CONTROL,
        header::HeaderValue::from_static("no-store"),
    );
    response
}

/// Incidents: as JSON the newest first, as a page those first that are not over.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let listed = async {
        let reader = reader(&app, &headers)?;
        let asked = Asked::read(query.as_deref())?;
        let filter = asked.filter()?;
        if wants_page(&headers) {
            return pages::list(&app, reader, &asked, &filter).await;
        }
        let page = incidents::list(&app, &filter, asked.from.clone(), asked.most()).await?;
        Ok(plain(&page)?.into_response())
    };
    answer(&app, &headers, None, listed.await)
}

/// One incident, or the page on which people sign in.
pub(super) async fn show(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let shown = async {
        let asked = Asked::read(query.as_deref())?;
        if id == "sign-in" {
            return pages::sign_in(&app, &asked.back, None);
        }
        let reader = reader(&app, &headers)?;
        let id: IncidentId = id.parse().map_err(|_| missing())?;
        let shown = incidents::show(&app, &id).await?.ok_or_else(missing)?;
        if wants_page(&headers) {
            return pages::one(&app, &headers, reader, &asked, shown).await;
        }
        Ok(plain(&shown)?.into_response())
    };
    answer(&app, &headers, None, shown.await)
}

/// An action has no page.
pub(super) async fn no_page(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    let why = "an action has no page: it is asked for with POST, or on the page of the incident";
    let problem = Problem::new(StatusCode::NOT_FOUND, why);
    answer(&app, &headers, None, Err(problem))
}

/// The body of a form.
fn form<T: DeserializeOwned>(body: &Bytes) -> Result<T, Problem> {
    let mut fields = serde_json::Map::new();
    for (key, value) in url::form_urlencoded::parse(body) {
        // A field that was left empty is as good as none.
        if !value.trim().is_empty() {
            fields.insert(key.into_owned(), json!(value));
        }
    }
    serde_json::from_value(fields.into())
        .map_err(|e| Problem::new(StatusCode::BAD_REQUEST, format!("the form: {e}")))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignIn {
    #[serde(default)]
    key: String,
    #[serde(default)]
    back: String,
}

/// Where to go after signing in: to an incident, or to the list. Never anywhere else.
fn place(back: &str) -> String {
    match back.parse::<IncidentId>() {
        Ok(id) => format!("{PLACE}/{id}"),
        Err(_) => PLACE.to_owned(),
    }
}

fn see(place: &str) -> Response {
    (StatusCode::SEE_OTHER, [(header::LOCATION, place)]).into_response()
}

/// Signs in or out.
pub(super) async fn door(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let gone = through(&app, &id, &headers, &body).await;
    answer(&app, &headers, None, gone)
}

async fn through(
    app: &App,
    id: &str,
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<Response, Problem> {
    let principals = &app.config.principals;
    match id {
        "sign-out" => {
            session::sign_out(app, headers).await?;
            let mut response = see(PLACE);
            set_cookie(&mut response, &session::over())?;
            Ok(response)
        }
        "sign-in" if principals.easy_auth || principals.keys.is_empty() => Err(Problem::new(
            StatusCode::CONFLICT,
            "keys are for an embedded estate: here the platform says who is asking, open /.auth/login/aad",
        )),
        "sign-in" => {
            let given: SignIn = if is_form(headers) {
                form(body)?
            } else {
                read(body)?
            };
            let name = session::owner(&principals.keys, given.key.trim().as_bytes());
            let begun = name.and_then(|name| session::begin(app, name));
            let Some(cookie) = begun else {
                let why = "this key is nobody's: POOLKEEPER_OPERATOR_KEYS has them, as NAME:KEY";
                if wants_page(headers) {
                    return pages::sign_in(app, &given.back, Some(why));
                }
                return Err(Problem::new(StatusCode::UNAUTHORIZED, why));
            };
            let mut response = see(&place(&given.back));
            set_cookie(&mut response, &cookie)?;
            Ok(response)
        }
        _ => Err(Problem::new(
            StatusCode::NOT_FOUND,
            "there is no such page: an action is sent to /api/incidents/{id}/{action}",
        )),
    }
}

fn set_cookie(response: &mut Response, cookie: &str) -> Result<(), Problem> {
    let cookie = header::HeaderValue::from_str(cookie).map_err(anyhow::Error::from)?;
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    Ok(())
}

/// What somebody says, as JSON.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    #[serde(default)]
    reason: String,
    minutes: Option<i64>,
    level: Option<String>,
}

/// What somebody says, as a form has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FormWish {
    #[serde(default)]
    reason: String,
    minutes: Option<String>,
    level: Option<String>,
    #[serde(default)]
    token: String,
}

/// Does what somebody says about an incident.
pub(super) async fn act(
    State(app): State<Arc<App>>,
    Path((id, action)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let acted = acted(&app, &id, &action, &headers, &body).await;
    answer(&app, &headers, Some(&id), acted)
}

async fn acted(
    app: &App,
    id: &str,
    action: &str,
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<Response, Problem> {
    let caller = caller(app, headers)?;
    let wish = if is_form(headers) {
        sent_by_a_page(app, headers, &caller, body).await?
    } else {
        if caller.means == Means::Cookie {
            return Err(Problem::new(
                StatusCode::FORBIDDEN,
                "a cookie counts for the forms of the pages only: send x-poolkeeper-key",
            ));
        }
        meant(&caller, headers)?;
        if body.is_empty() {
            Wish::default()
        } else {
            read(body)?
        }
    };
    let id: IncidentId = id.parse().map_err(|_| missing())?;
    let said = said(action, &wish)?;
    let incident = incidents::say(app, &id, &said, &caller.name, &wish.reason).await?;
    if wants_page(headers) {
        return Ok(see(&format!("{PLACE}/{id}")));
    }
    let place = [(header::LOCATION, format!("{PLACE}/{id}"))];
    Ok((place, plain(&incident)?).into_response())
}

/// As JSON, without the addresses of people: who was told is enough.
fn plain<T: Serialize>(what: &T) -> Result<Json<Value>, Problem> {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(object) => {
                object.remove("contacts");
                object.values_mut().for_each(strip);
            }
            Value::Array(list) => list.iter_mut().for_each(strip),
            _ => {}
        }
    }
    let mut value = serde_json::to_value(what).map_err(anyhow::Error::from)?;
    strip(&mut value);
    Ok(Json(value))
}

/// What a form says, once it is known that a page of ours sent it for whoever is asking.
async fn sent_by_a_page(
    app: &App,
    headers: &HeaderMap,
    caller: &Caller,
    body: &Bytes,
) -> Result<Wish, Problem> {
    let refused = |why: &str| Err(Problem::new(StatusCode::FORBIDDEN, why));
    let sent: FormWish = form(body)?;
    // A header with a key is nothing that a browser adds by itself.
    if caller.means != Means::Key {
        if origin(headers) != Origin::Ours {
            return refused(
                "nothing says that a page from here sent this form: open the incident and send it there",
            );
        }
        if !session::is_token(app, headers, &caller.name, &sent.token).await? {
            return refused(
                "the form is not one that was made for you, or is too old: load the page again",
            );
        }
    }
    let minutes = sent.minutes.as_deref().map(str::trim).map(str::parse);
    let minutes = minutes.transpose().map_err(|_| {
        let why = "`minutes` is a whole number";
        Problem::new(StatusCode::BAD_REQUEST, why)
    })?;
    Ok(Wish {
        reason: sent.reason,
        minutes,
        level: sent.level,
    })
}

fn said(action: &str, wish: &Wish) -> Result<Said, Problem> {
    let said = match action {
        "ack" => Said::Ack {
            minutes: wish.minutes,
        },
        "unack" => Said::Unack,
        "mitigate" => Said::Mitigate,
        "resolve" => Said::Resolve,
        "reopen" => Said::Reopen,
        "comment" => Said::Comment,
        "escalate" => Said::Escalate {
            level: wish.level.clone(),
        },
        _ => {
            return Err(Problem::new(
                StatusCode::NOT_FOUND,
                "there is no such action: ack, unack, mitigate, resolve, reopen, comment, escalate",
            ));
        }
    };
    let unfit = |field: &str, only: &str| {
        let why = format!("`{field}` goes with {only} only");
        Problem::new(StatusCode::BAD_REQUEST, why)
    };
    if wish.minutes.is_some() && !matches!(said, Said::Ack { .. }) {
        return Err(unfit("minutes", "ack"));
    }
    if wish.level.is_some() && !matches!(said, Said::Escalate { .. }) {
        return Err(unfit("level", "escalate"));
    }
    Ok(said)
}
