use std::process::ExitCode;

use anyhow::Context as _;
use chrono::{DateTime, Duration, Utc};
use chrono_tz::Tz;
use clap::{Args, Subcommand};

use super::by_the_clock;
use super::changes::me;
use crate::app::App;
use crate::config::Config;
use crate::domain::{IncidentId, Priority};
use crate::notify::ToldState;
use crate::operations::incidents::{
    Filter, Incident, Refusal, Said, Shown, Status, begin_with, list, say, show,
};

#[derive(Subcommand)]
pub(super) enum Arguments {
    /// List incidents, newest first.
    List {
        /// Only those that stand there, as open,acknowledged,mitigated.
        #[arg(long, value_delimiter = ',')]
        status: Vec<String>,
        /// Only those of this priority: critical, high, medium or low.
        #[arg(long)]
        priority: Option<Priority>,
        /// Only those of this tenant.
        #[arg(long)]
        tenant: Option<String>,
        /// Only those with this in their title, rule or resource.
        #[arg(long)]
        text: Option<String>,
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=500))]
        most: u16,
        /// Print one JSON document.
        #[arg(long)]
        json: bool,
    },
    /// Show one incident with its timeline, and who was told.
    Show {
        /// Its id, or a beginning of it that no other has.
        id: String,
        /// Print one JSON document.
        #[arg(long)]
        json: bool,
    },
    /// Say that you have it: the clock of the escalation stops for a while.
    Ack {
        /// For so many minutes [default: as its priority has it].
        #[arg(long)]
        minutes: Option<i64>,
        #[command(flatten)]
        what: Optional,
    },
    /// Give it back: the clock of the escalation runs again.
    Unack(Optional),
    /// Say that it hurts nobody any more.
    Mitigate(Saying),
    /// End it.
    Resolve(Saying),
    /// Say that it is not over.
    Reopen(Saying),
    /// Add to its timeline.
    Comment(Saying),
    /// Have a higher level told at once.
    Escalate {
        /// Which level [default: the next].
        #[arg(long)]
        level: Option<String>,
        #[command(flatten)]
        what: Saying,
    },
}

/// Which incident, and who says it.
#[derive(Args)]
pub(super) struct Which {
    /// Its id, or a beginning of it that no other has.
    id: String,
    /// Which person of an embedded estate says it [default: the first].
    #[arg(long = "as", value_name = "NAME")]
    by: Option<String>,
    /// Print the incident as one JSON document.
    #[arg(long)]
    json: bool,
}

/// Something that needs no reason.
#[derive(Args)]
pub(super) struct Optional {
    #[command(flatten)]
    which: Which,
    /// Why, for whoever reads the timeline.
    #[arg(long, default_value = "")]
    reason: String,
}

/// Something that needs a reason.
#[derive(Args)]
pub(super) struct Saying {
    #[command(flatten)]
    which: Which,
    /// Why, for whoever reads the timeline.
    #[arg(long)]
    reason: String,
}

/// Exit codes: 0 done, 1 refused, 2 no such filter, 3 there is no such incident, or more than one.
pub(super) async fn run(config: Config, arguments: Arguments) -> anyhow::Result<ExitCode> {
    let app = by_the_clock(config).await;
    let (said, which, reason) = match arguments {
        Arguments::List {
            status,
            priority,
            tenant,
            text,
            most,
            json,
        } => {
            let filter = match statuses(&status) {
                Ok(statuses) => Filter {
                    statuses,
                    priority,
                    tenant,
                    text,
                },
                Err(why) => {
                    eprintln!("error: {why}");
                    return Ok(ExitCode::from(2));
                }
            };
            return listed(&app, &filter, most.into(), json).await;
        }
        Arguments::Show { id, json } => return shown(&app, &id, json).await,
        Arguments::Ack { minutes, what } => (Said::Ack { minutes }, what.which, what.reason),
        Arguments::Unack(what) => (Said::Unack, what.which, what.reason),
        Arguments::Mitigate(what) => (Said::Mitigate, what.which, what.reason),
        Arguments::Resolve(what) => (Said::Resolve, what.which, what.reason),
        Arguments::Reopen(what) => (Said::Reopen, what.which, what.reason),
        Arguments::Comment(what) => (Said::Comment, what.which, what.reason),
        Arguments::Escalate { level, what } => (Said::Escalate { level }, what.which, what.reason),
    };
    let id = meant(&app, &which.id).await?;
    let by = me(&app, which.by.as_deref()).await?;
    match say(&app, &id, &said, &by, &reason).await {
        Ok(incident) if which.json => {
            println!("{}", serde_json::to_string_pretty(&incident)?);
            Ok(ExitCode::SUCCESS)
        }
        Ok(incident) => {
            println!("{}", line(&incident, app.clock.now(), zone(&app)));
            Ok(ExitCode::SUCCESS)
        }
        Err(Refusal::Other(error)) => Err(error),
        Err(refusal) => {
            eprintln!("error: {refusal}");
            Ok(ExitCode::from(1))
        }
    }
}

fn statuses(names: &[String]) -> Result<Vec<Status>, String> {
    let known = |name: &String| Status::ALL.into_iter().find(|s| s.as_str() == name.trim());
    let all = names.iter().map(|name| {
        known(name).ok_or_else(|| {
            let all = Status::ALL.map(Status::as_str).join(", ");
            format!("`{name}` is no status: {all}")
        })
    });
    all.collect()
}

/// The incident that a beginning of an id means.
///
/// Errors: none begins so, or more than one.
async fn meant(app: &App, beginning: &str) -> anyhow::Result<IncidentId> {
    let mut found = begin_with(app, beginning).await?;
    if let Some(exact) = found.iter().position(|id| id.as_str() == beginning) {
        return Ok(found.swap_remove(exact));
    }
    match found.len() {
        0 => anyhow::bail!(
            "there is no incident `{beginning}`: `poolkeeper incidents list` shows them"
        ),
        1 => Ok(found.swap_remove(0)),
        _ => {
            let ids: Vec<&str> = found.iter().take(5).map(IncidentId::as_str).collect();
            let more = if found.len() > 5 { ", ..." } else { "" };
            anyhow::bail!(
                "more than one begins with `{beginning}`: {}{more}",
                ids.join(", ")
            )
        }
    }
}

/// The estate's, or UTC where there is none that can be read.
fn zone(app: &App) -> Tz {
    app.estate().map_or(Tz::UTC, |estate| estate.zone)
}

fn at(moment: DateTime<Utc>, zone: Tz) -> String {
    let moment = moment.with_timezone(&zone);
    moment.format("%Y-%m-%d %H:%M:%S %Z").to_string()
}

/// Text of others on a terminal: in one line, and without what would steer the terminal.
fn plain(text: &str) -> String {
    text.chars()
        // What turns the direction of the text around could make it read as something else.
        .filter(|c| !matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'))
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

fn line(incident: &Incident, now: DateTime<Utc>, zone: Tz) -> String {
    let status = incident.status_at(now);
    let opened = incident.opened.unwrap_or(now);
    let stands = match (&incident.acknowledgement, incident.next) {
        (Some(ack), _) if status == Status::Acknowledged => {
            format!("  {} has it until {}", plain(&ack.by), at(ack.until, zone))
        }
        (_, Some(next)) if status != Status::Resolved => format!("  next {}", at(next, zone)),
        _ => String::new(),
    };
    format!(
        "{}  {}  {status}  {}  {}{stands}",
        at(opened, zone),
        incident.id,
        incident.priority,
        plain(&incident.title)
    )
}

async fn listed(app: &App, filter: &Filter, most: usize, json: bool) -> anyhow::Result<ExitCode> {
    let mut page = list(app, filter, None, most).await?;
    if json {
        println!("{}", serde_json::to_string_pretty(&page)?);
        return Ok(ExitCode::SUCCESS);
    }
    let cut = page.incidents.len() > most;
    page.incidents.truncate(most);
    if page.incidents.is_empty() {
        println!("there are no such incidents");
    }
    for incident in &page.incidents {
        println!("{}", line(incident, app.clock.now(), zone(app)));
    }
    if cut || page.next.is_some() {
        println!("older incidents are not shown: --most");
    }
    Ok(ExitCode::SUCCESS)
}

async fn shown(app: &App, id: &str, json: bool) -> anyhow::Result<ExitCode> {
    let id = meant(app, id).await?;
    let shown = show(app, &id)
        .await?
        .with_context(|| format!("there is no incident {id}"))?;
    if json {
        println!("{}", serde_json::to_string_pretty(&shown)?);
    } else {
        print!("{}", whole(&shown, app.clock.now(), zone(app)));
    }
    Ok(ExitCode::SUCCESS)
}

fn whole(shown: &Shown, now: DateTime<Utc>, zone: Tz) -> String {
    let incident = &shown.incident;
    let mut out = format!(
        "{}\n{}\nabout     {}\n",
        line(incident, now, zone),
        plain(&incident.text),
        plain(&incident.key.to_string())
    );
    if let Some(next) = &shown.told_next {
        let sentence = next.sentence(&at(next.at, zone), shown.status_now);
        out.push_str(&format!("next      {}\n", plain(&sentence)));
    }
    for (name, value) in &incident.facts {
        out.push_str(&format!("fact      {}: {}\n", plain(name), plain(value)));
    }
    for (what, seconds) in [
        ("acknowledged", shown.seconds_to_acknowledge),
        ("mitigated", shown.seconds_to_mitigate),
        ("resolved", shown.seconds_to_resolve),
    ] {
        if let Some(seconds) = seconds {
            let span = Duration::seconds(seconds);
            let (minutes, seconds) = (span.num_minutes(), seconds % 60);
            out.push_str(&format!("{what} after {minutes} min {seconds} s\n"));
        }
    }
    out.push_str("timeline\n");
    for event in &shown.timeline {
        out.push_str(&format!(
            "  {}  {}  {}\n",
            at(event.at, zone),
            plain(event.event.actor()),
            plain(&event.event.headline())
        ));
        for detail in event.event.detail().lines() {
            out.push_str(&format!("      {}\n", plain(detail)));
        }
    }
    out.push_str("told\n");
    for told in &shown.told {
        let state = match &told.state {
            ToldState::Waiting { why, .. } => format!("waits: {why}"),
            ToldState::Delivered { at: when } => format!("delivered {}", at(*when, zone)),
            ToldState::Merged => "a newer update was sent instead".into(),
            ToldState::Overtaken => "it was over before it could be told".into(),
        };
        out.push_str(&format!(
            "  {}  {} through {}: {}\n",
            at(told.posted, zone),
            plain(&told.recipient),
            plain(&told.channel),
            plain(&state)
        ));
    }
    if shown.member_count > 0 {
        out.push_str(&format!(
            "swallowed by this storm: {}\n",
            shown.member_count
        ));
        for member in &shown.members {
            let signal = &member.signal;
            let (when, title) = (at(member.at, zone), plain(&signal.title));
            out.push_str(&format!("  {when}  {}  {title}\n", signal.priority));
        }
    }
    out
}
