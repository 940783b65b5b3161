//! What all channels say alike.

use crate::domain::{Act, Message, Priority};

/// A text as one line of at most so many characters, without control characters.
pub(super) fn one_line(text: &str, most: usize) -> String {
    let line: String = text
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ");
    cut(&line, most)
}

/// A text of at most so many characters; what is cut shows it.
pub(super) fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(most.saturating_sub(1)).collect();
    short.push('…');
    short
}

/// Text without control characters but the ends of its lines: some systems refuse a whole message for
/// one of them.
pub(super) fn clean(text: &str) -> String {
    text.chars()
        .filter(|c| *c == '\n' || !c.is_control())
        .collect()
}

/// What has happened, in a word or two.
pub(super) fn verb(act: Act) -> &'static str {
    match act {
        Act::Trigger => "Open",
        Act::Acknowledge => "Acknowledged",
        Act::Update => "Update",
        Act::Resolve => "Resolved",
    }
}

pub(super) fn act(act: Act) -> &'static str {
    match act {
        Act::Trigger => "trigger",
        Act::Acknowledge => "acknowledge",
        Act::Update => "update",
        Act::Resolve => "resolve",
    }
}

/// `[critical] p95 is above 3 s`.
pub(super) fn title(message: &Message, most: usize) -> String {
    one_line(&format!("[{}] {}", message.priority, message.title), most)
}

/// All of it as plain text.
pub(super) fn plain(message: &Message) -> String {
    let mut text = format!("{}: {}\n", verb(message.act), one_line(&message.title, 500));
    let said = clean(&message.text);
    if !said.trim().is_empty() {
        text.push_str(&format!("\n{}\n", said.trim()));
    }
    if !message.facts.is_empty() {
        text.push('\n');
        for (name, value) in &message.facts {
            text.push_str(&format!(
                "{}: {}\n",
                one_line(name, 100),
                one_line(value, 1000)
            ));
        }
    }
    text.push('\n');
    for (name, value) in about(message) {
        text.push_str(&format!("{name}: {value}\n"));
    }
    if let Some(link) = &message.link {
        text.push_str(&format!("{link}\n"));
    }
    text
}

/// What is said of every incident.
pub(super) fn about(message: &Message) -> Vec<(&'static str, String)> {
    let mut about = vec![
        ("Incident", message.incident.to_string()),
        ("Priority", message.priority.to_string()),
    ];
    if let Some(tenant) = &message.tenant {
        about.push(("Tenant", one_line(tenant, 200)));
    }
    about.push((
        "Time",
        message.at.format("%Y-%m-%d %H:%M:%S UTC").to_string(),
    ));
    about
}

/// All of it as HTML, with nothing in it that a reader's program would follow but the link.
pub(super) fn html(message: &Message) -> String {
    let colour = match (message.act, message.priority) {
        (Act::Resolve, _) => "#107c10",
        (_, Priority::Critical | Priority::High) => "#a4262c",
        (_, Priority::Medium) => "#8a5a00",
        (_, Priority::Low) => "#444444",
    };
    let mut html = format!(
        "<h2 style=\"color:{colour};font-family:sans-serif\">{}: {}</h2>\n",
        verb(message.act),
        escaped(&one_line(&message.title, 500)),
    );
    for paragraph in message
        .text
        .trim()
        .split("\n\n")
        .filter(|p| !p.trim().is_empty())
    {
        let paragraph = escaped(paragraph.trim()).replace('\n', "<br>\n");
        html.push_str(&format!(
            "<p style=\"font-family:sans-serif\">{paragraph}</p>\n"
        ));
    }
    html.push_str("<table style=\"font-family:sans-serif\">\n");
    let facts = message
        .facts
        .iter()
        .map(|(name, value)| (name.as_str(), value.clone()));
    for (name, value) in facts.chain(about(message)) {
        html.push_str(&format!(
            "<tr><th align=\"left\">{}</th><td>{}</td></tr>\n",
            escaped(&one_line(name, 100)),
            escaped(&one_line(&value, 1000)),
        ));
    }
    html.push_str("</table>\n");
    if let Some(link) = message.link.as_deref().filter(|link| is_web(link)) {
        html.push_str(&format!("<p><a href=\"{0}\">{0}</a></p>\n", escaped(link)));
    }
    html
}

pub(super) fn is_web(link: &str) -> bool {
    url::Url::parse(link).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
}

/// Text that HTML shows as it is.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() && c != '\n' => {}
            c => out.push(c),
        }
    }
    out
}

/// `text` with dots in place of every one of these.
pub(super) fn scrubbed(text: &str, secrets: &[String]) -> String {
    let mut text = text.to_owned();
    for secret in secrets.iter().filter(|secret| secret.len() >= 4) {
        if text.contains(secret.as_str()) {
            text = text.replace(secret.as_str(), "•••");
        }
    }
    text
}
