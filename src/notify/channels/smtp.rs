//! Mail by SMTP. Source: RFC 5321, 5322, 2047 (headers that are not ASCII), 3207 (STARTTLS), 3834
//! (mail that no machine answers).

use std::path::Path;
use std::time::SystemTime;

use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};
use reqwest::{Method, Url};

use super::{Letter, Taken, fingerprint, secret};
use crate::app::App;
use crate::domain::{Act, Message};
use crate::estate::{MailSecurity, Smtp, is_loopback};
use crate::notify::http::{Failure, Kind, Request, exchange};
use crate::notify::{reach, words};

const ANSWER_LIMIT: std::time::Duration = std::time::Duration::from_secs(10);

pub(super) async fn send(app: &App, smtp: &Smtp, letter: &Letter<'_>) -> Result<Taken, Failure> {
    let to = recipient(letter, smtp.to.as_deref())?;
    let mail = mail(&smtp.from, to, letter)?;
    if let Some(outside) = &app.config.outside
        && !is_loopback(&smtp.host)
    {
        let reply = exchange(app, stand_in(outside, &smtp.host, &mail)?).await?;
        return Ok(Taken {
            pause: reply.pause,
            ..Taken::new("taken by the stand-in")
        });
    }
    let transport = transport(app, smtp).await?;
    let answer = transport
        .send(mail)
        .await
        .map_err(|error| failure(&error))?;
    let first: Vec<&str> = answer.message().collect();
    Ok(Taken::new(format!("{} {}", answer.code(), first.join(" "))))
}

/// Who gets it: whom the notice names, else whom the channel does.
pub(super) fn recipient(letter: &Letter<'_>, default: Option<&str>) -> Result<Mailbox, Failure> {
    let to = match letter.to.trim() {
        "" => default.unwrap_or_default(),
        to => to,
    };
    to.parse().map_err(|_| {
        let why = if to.is_empty() {
            "it names no recipient, and the channel has none of its own"
        } else {
            "the recipient is no mail address"
        };
        Failure::new(Kind::Refused, why)
    })
}

/// A mail as it is handed to what stands in for a mail server.
fn stand_in(outside: &str, host: &str, mail: &lettre::Message) -> Result<Request, Failure> {
    let url = Url::parse(&format!("{outside}/outside/smtp/{host}"))
        .map_err(|_| Failure::new(Kind::Broken, "the stand-in's address cannot be used"))?;
    let from = mail.envelope().from().map(ToString::to_string);
    let to: Vec<String> = mail
        .envelope()
        .to()
        .iter()
        .map(ToString::to_string)
        .collect();
    Ok(Request {
        method: Method::POST,
        url,
        headers: vec![
            ("content-type", "message/rfc822".into()),
            ("x-mail-from", from.unwrap_or_default()),
            ("x-mail-to", to.join(",")),
        ],
        body: mail.formatted(),
    })
}

async fn transport(app: &App, smtp: &Smtp) -> Result<AsyncSmtpTransport<Tokio1Executor>, Failure> {
    let broken = |why: String| Failure::new(Kind::Broken, why);
    // The address is chosen here and the certificate is held to the name, so that a name that
    // changes leads nowhere else.
    let addresses = reach::addresses(&smtp.host, smtp.port)
        .await
        .map_err(|error| {
            Failure::new(Kind::Passing, format!("look up `{}`: {error}", smtp.host))
        })?;
    let address = addresses
        .first()
        .map(|at| at.ip())
        .ok_or_else(|| Failure::new(Kind::Passing, format!("`{}` has no address", smtp.host)))?;
    if smtp.security == MailSecurity::Plain && !address.is_loopback() {
        return Err(broken("plain mail goes to this machine only".into()));
    }
    let tls = || -> Result<TlsParameters, Failure> {
        let mut parameters = TlsParameters::builder(smtp.host.clone());
        if let Some(path) = &smtp.authority {
            // Beside the estate file, as it is packed.
            let folder = app.config.estate.parent().unwrap_or(Path::new(""));
            let pem = std::fs::read(folder.join(path))
                .map_err(|error| broken(format!("read the authority `{path}`: {error}")))?;
            let certificate = Certificate::from_pem(&pem)
                .map_err(|_| broken(format!("the authority `{path}` is no certificate")))?;
            parameters = parameters.add_root_certificate(certificate);
        }
        parameters
            .build()
            .map_err(|error| broken(format!("prepare TLS: {error}")))
    };
    let tls = match smtp.security {
        MailSecurity::Starttls => Tls::Required(tls()?),
        MailSecurity::Tls => Tls::Wrapper(tls()?),
        MailSecurity::Plain => Tls::None,
    };
    let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(address.to_string())
        .port(smtp.port)
        .timeout(Some(ANSWER_LIMIT))
        .tls(tls);
    if let Some((user, name)) = &smtp.login {
        let password = secret(app, name)?.to_owned();
        builder = builder.credentials(Credentials::new(user.clone(), password));
    }
    Ok(builder.build())
}

/// What a mail server's refusal means.
fn failure(error: &lettre::transport::smtp::Error) -> Failure {
    let code = error.status().map(u16::from);
    let kind = match code {
        // About who signs in, and not about the mail.
        Some(530 | 534 | 535 | 538) => Kind::Broken,
        Some(500..=599) => Kind::Refused,
        _ => Kind::Passing,
    };
    let why = match code {
        Some(code) => {
            let said = std::error::Error::source(error).map(ToString::to_string);
            format!("the server said {code} {}", said.unwrap_or_default())
        }
        None if error.is_timeout() => "no answer in time".into(),
        None => error.to_string(),
    };
    Failure::new(kind, words::one_line(&why, 4000))
}

pub(super) fn subject(message: &Message) -> String {
    let before = match message.act {
        Act::Trigger => "",
        Act::Acknowledge => "Acknowledged: ",
        Act::Update => "Update: ",
        Act::Resolve => "Resolved: ",
    };
    format!(
        "{before}{} ({})",
        words::title(message, 180),
        message.incident
    )
}

/// What every mail of an incident refers to, so that mail programs show them together.
pub(super) fn thread(message: &Message, domain: &str) -> String {
    format!("<{}@{domain}>", message.incident)
}

fn mail(from: &str, to: Mailbox, letter: &Letter<'_>) -> Result<lettre::Message, Failure> {
    let from: Mailbox = from
        .parse()
        .map_err(|_| Failure::new(Kind::Broken, "`from` is no mail address"))?;
    let domain = from.email.domain().to_owned();
    let message = letter.message;
    let hash: String = fingerprint(letter)[..6]
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    let thread = thread(message, &domain);
    lettre::Message::builder()
        .from(from)
        .to(to)
        .subject(subject(message))
        .date(SystemTime::from(letter.now))
        // The same each time it is sent, so that a mail that comes twice is known as one.
        .message_id(Some(format!(
            "<{}.{}.{hash}@{domain}>",
            message.incident, letter.notice
        )))
        .in_reply_to(thread.clone())
        .references(thread)
        .raw_header(HeaderValue::new(
            HeaderName::new_from_ascii_str("Auto-Submitted"),
            "auto-generated".into(),
        ))
        .multipart(MultiPart::alternative_plain_html(
            words::plain(message),
            words::html(message),
        ))
        .map_err(|error| Failure::new(Kind::Refused, format!("write the mail: {error}")))
}

#[cfg(test)]
mod tests {
    use super::super::{header, sample, sample_letter};
    use super::*;

    #[test]
    fn a_mail_is_one_of_its_incident_and_always_the_same() {
        let message = sample(Act::Update);
        let letter = sample_letter(&message);
        let to: Mailbox = "当番 <a@example.com>".parse().expect("an address");
        let mail = mail("Poolkeeper <p@example.com>", to, &letter).expect("a mail");
        let text = String::from_utf8(mail.formatted()).expect("text");
        assert!(text.is_ascii(), "{text}");
        for line in [
            "In-Reply-To: <inc-0123456789ab-1@example.com>\r\n",
            "References: <inc-0123456789ab-1@example.com>\r\n",
            "Auto-Submitted: auto-generated\r\n",
            "Date: Mon, 02 Mar 2026 06:00:05 +0000\r\n",
            "Message-ID: <inc-0123456789ab-1.opened.0.",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
        let request = stand_in("http://127.0.0.1:1", "smtp.example.com", &mail).expect("one");
        assert_eq!(
            request.url.as_str(),
            "http://127.0.0.1:1/outside/smtp/smtp.example.com"
        );
        assert_eq!(header(&request, "x-mail-to"), Some("a@example.com"));
        assert_eq!(header(&request, "x-mail-from"), Some("p@example.com"));
        assert_eq!(header(&request, "content-type"), Some("message/rfc822"));
    }

    #[test]
    fn a_title_cannot_add_a_header() {
        let mut message = sample(Act::Trigger);
        message.title = "slow\r\nBcc: evil@example.com".into();
        message.facts = vec![("a\r\n.\r\nb".into(), "<script>".into())];
        let letter = sample_letter(&message);
        let to: Mailbox = "a@example.com".parse().expect("an address");
        let mail = mail("p@example.com", to, &letter).expect("a mail");
        let text = String::from_utf8(mail.formatted()).expect("text");
        assert!(!text.contains("\r\nBcc:"), "{text}");
        assert!(
            !text.contains("<script>") || text.contains("&lt;script&gt;"),
            "{text}"
        );
    }

    #[test]
    fn who_gets_a_mail() {
        let message = sample(Act::Trigger);
        for (to, default, expected) in [
            (
                "a@example.com",
                Some("b@example.com"),
                Some("a@example.com"),
            ),
            ("", Some("b@example.com"), Some("b@example.com")),
            ("", None, None),
            ("a@example.com\r\nBcc: c@example.com", None, None),
        ] {
            let letter = Letter {
                to,
                ..sample_letter(&message)
            };
            let found = recipient(&letter, default)
                .ok()
                .map(|to| to.email.to_string());
            assert_eq!(found.as_deref(), expected, "{to}");
        }
    }
}
