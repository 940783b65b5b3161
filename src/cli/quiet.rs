use std::process::ExitCode;

use chrono_tz::Tz;
use clap::{Args, Subcommand};

use super::by_the_clock;
use super::changes::me;
use super::oncall::{Saying, Span, told, wall};
use crate::config::Config;
use crate::domain::{Class, Matcher, Priority, Quiet, QuietKind, Silence};
use crate::operations::quiet::{Overview, Wish, add, end, overview};

#[derive(Subcommand)]
pub(super) enum Arguments {
    /// Show what is quiet now, and what will be.
    List {
        /// Print one JSON document.
        #[arg(long)]
        json: bool,
    },
    /// Keep something quiet for a while: it is recorded, and told to nobody.
    Add {
        #[command(flatten)]
        what: What,
        /// Work is done on it: a window of maintenance, whose begin and end are recorded.
        #[arg(long)]
        window: bool,
        #[command(flatten)]
        span: Span,
        #[command(flatten)]
        saying: Saying,
    },
    /// End a silence or a one-off window before its time.
    End {
        id: String,
        #[command(flatten)]
        saying: Saying,
    },
}

/// Which signals are meant: all of what is given has to fit.
#[derive(Args)]
#[group(skip)]
pub(super) struct What {
    /// Name of a rule.
    #[arg(long, required_unless_present_any = ["tenant", "resource"])]
    rule: Option<String>,
    /// Id of a tenant.
    #[arg(long)]
    tenant: Option<String>,
    /// A resource, endpoint or operation; * stands for any text, also none.
    #[arg(long)]
    resource: Option<String>,
    /// Signals of the security line are meant, and no others.
    #[arg(long)]
    security: bool,
    /// Nothing more urgent than this is kept quiet.
    #[arg(long, default_value = "high")]
    highest: Priority,
}

/// Exit codes: 0 done, 1 refused, 3 anything else.
pub(super) async fn run(config: Config, arguments: Arguments) -> anyhow::Result<ExitCode> {
    let app = by_the_clock(config).await;
    let zone = app.estate()?.zone;
    match arguments {
        Arguments::List { json } => {
            let overview = overview(&app, app.clock.now()).await?;
            if json {
                println!("{}", serde_json::to_string_pretty(&overview)?);
            } else {
                print!("{}", list(&overview, zone));
            }
            Ok(ExitCode::SUCCESS)
        }
        Arguments::Add {
            what,
            window,
            span,
            saying,
        } => {
            let (from, until) = span.read(&app)?;
            let by = me(&app, saying.by.as_deref()).await?;
            let wish = Wish {
                kind: if window {
                    QuietKind::Window
                } else {
                    QuietKind::Silence
                },
                matcher: Matcher {
                    rule: what.rule,
                    tenant: what.tenant,
                    resource: what.resource,
                    class: if what.security {
                        Class::Security
                    } else {
                        Class::Operations
                    },
                    highest: what.highest,
                },
                from,
                until,
                reason: saying.reason,
            };
            let key = uuid::Uuid::new_v4().simple().to_string();
            told(add(&app, &key, &by, wish).await, saying.json, |s| {
                line(s, zone)
            })
        }
        Arguments::End { id, saying } => {
            let by = me(&app, saying.by.as_deref()).await?;
            let done = end(&app, &id, &by, &saying.reason).await;
            told(done, saying.json, |s| line(s, zone))
        }
    }
}

fn matcher(matcher: &Matcher) -> String {
    let mut parts = Vec::new();
    for (name, part) in [
        ("rule", &matcher.rule),
        ("tenant", &matcher.tenant),
        ("resource", &matcher.resource),
    ] {
        parts.extend(part.as_ref().map(|part| format!("{name} {part}")));
    }
    parts.push(matcher.class.as_str().to_owned());
    parts.push(format!("up to {}", matcher.highest));
    parts.join(", ")
}

fn line(silence: &Silence, zone: Tz) -> String {
    let mut text = shown(
        &Quiet {
            until: silence.until,
            ..silence.quiet()
        },
        zone,
    );
    if let Some(ended) = &silence.ended {
        text += &format!(
            "; ended {} by {}: {}",
            wall(ended.at, zone),
            ended.by,
            ended.reason
        );
    }
    text
}

fn shown(quiet: &Quiet, zone: Tz) -> String {
    format!(
        "{}  {} ({}) from {} until {}, {}: {}",
        quiet.name,
        quiet.kind.as_str(),
        matcher(&quiet.matcher),
        wall(quiet.from, zone),
        wall(quiet.until, zone),
        quiet.owner,
        quiet.reason
    )
}

fn list(overview: &Overview, zone: Tz) -> String {
    let mut text = String::new();
    if overview.in_force.is_empty() {
        text += "nothing is kept quiet\n";
    }
    for quiet in &overview.in_force {
        text += &format!("now   {}\n", shown(quiet, zone));
    }
    let at = overview.at;
    for silence in overview.silences.iter().filter(|s| !s.holds(at)) {
        let word = if silence.ended.is_some() {
            "ended"
        } else {
            "later"
        };
        text += &format!("{word} {}\n", line(silence, zone));
    }
    for finding in &overview.unread {
        text += &format!("unread  {}: {}\n", finding.subject, finding.message);
    }
    for quiet in &overview.next_windows {
        text += &format!("next  {}\n", shown(quiet, zone));
    }
    text
}
