//! Whom a notice goes to, and what a channel may carry.

use std::collections::BTreeSet;

use crate::domain::{Contact, Message};
use crate::estate::{Channel, Estate};

/// The contacts of a notice in the order in which they are tried: its own, then the fallbacks of
/// their channels. None comes twice.
pub(super) fn route(contacts: &[Contact], estate: &Estate) -> Vec<Contact> {
    let mut route: Vec<Contact> = Vec::new();
    for contact in contacts {
        if !route.contains(contact) {
            route.push(contact.clone());
        }
    }
    for contact in contacts {
        let mut seen = BTreeSet::new();
        let mut at = estate.channel(&contact.channel);
        while let Some(next) = at
            .filter(|channel| seen.insert(channel.name.clone()))
            .and_then(|channel| channel.fallback.as_deref())
        {
            let next = Contact {
                channel: next.to_owned(),
                to: String::new(),
            };
            at = estate.channel(&next.channel);
            // Whoever is told there already is not told twice.
            if !route.iter().any(|known| known.channel == next.channel) {
                route.push(next);
            }
        }
    }
    route
}

/// Whether a channel may carry a message: one that is for some tenants only carries what is said to
/// be of one of them and names no other tenant of the estate.
///
/// Errors: why not, without what the message says.
pub(super) fn may_carry(
    channel: &Channel,
    message: &Message,
    estate: &Estate,
) -> Result<(), String> {
    let Some(allowed) = &channel.tenants else {
        return Ok(());
    };
    match &message.tenant {
        None => {
            return Err(format!(
                "`{}` carries notices of some tenants only, and this one is of none",
                channel.name
            ));
        }
        Some(tenant) if !allowed.contains(tenant) => {
            return Err(format!(
                "`{}` does not carry notices of this tenant",
                channel.name
            ));
        }
        Some(_) => {}
    }
    let mut said = vec![message.title.as_str(), message.text.as_str()];
    for (name, value) in &message.facts {
        said.extend([name.as_str(), value.as_str()]);
    }
    let foreign = estate
        .tenants
        .iter()
        .filter(|tenant| !allowed.contains(&tenant.id))
        .any(|tenant| {
            said.iter()
                .any(|text| names(text, &tenant.id) || names(text, &tenant.name))
        });
    if foreign {
        return Err(format!(
            "`{}` does not carry it: it names a tenant that is none of the channel's",
            channel.name
        ));
    }
    Ok(())
}

/// Whether a text names something, as a word of its own and whatever the capitals.
fn names(text: &str, name: &str) -> bool {
    let (text, name) = (text.to_lowercase(), name.trim().to_lowercase());
    if name.is_empty() {
        return false;
    }
    let is_word = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
    text.match_indices(&name).any(|(at, found)| {
        let before = text[..at].chars().next_back();
        let after = text[at + found.len()..].chars().next();
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Act;
    use crate::notify::channels::sample;

    fn estate() -> Estate {
        Estate::parse(
            "[[tenants]]\nid = 'tenant-a'\nname = 'Alpha'\n[[tenants]]\nid = 'tenant-b'\nname = 'Beta'\n
            [[channels]]\nname = 'a'\nkind = 'slack'\nsecret = 'A'\nfallback = 'b'\n
            [[channels]]\nname = 'b'\nkind = 'slack'\nsecret = 'B'\nfallback = 'c'\n
            [[channels]]\nname = 'c'\nkind = 'slack'\nsecret = 'C'\ntenants = ['tenant-a']\n",
        )
        .expect("an estate")
    }

    #[test]
    fn fallbacks_come_after_all_contacts() {
        let contact = |text: &str| {
            let (channel, to) = text.split_once(':').unwrap_or((text, ""));
            Contact {
                channel: channel.into(),
                to: to.into(),
            }
        };
        for (contacts, expected) in [
            (&["a"][..], &["a", "b", "c"][..]),
            (&["b", "a"], &["b", "a", "c"]),
            (&["a:x", "a:y", "a:x"], &["a:x", "a:y", "b", "c"]),
            (&["c"], &["c"]),
            (&["gone"], &["gone"]),
        ] {
            let contacts: Vec<Contact> = contacts.iter().map(|c| contact(c)).collect();
            let expected: Vec<Contact> = expected.iter().map(|c| contact(c)).collect();
            assert_eq!(route(&contacts, &estate()), expected);
        }
    }

    #[test]
    fn a_tenants_channel_carries_what_is_theirs_alone() {
        let estate = estate();
        let channel = estate.channel("c").expect("a channel");
        for (name, tenant, text, fact, fits) in [
            ("theirs", Some("tenant-a"), "slow", "3 s", true),
            ("of another", Some("tenant-b"), "slow", "3 s", false),
            ("of nobody", None, "slow", "3 s", false),
            (
                "names another",
                Some("tenant-a"),
                "since Tenant-B calls",
                "3 s",
                false,
            ),
            (
                "names another by name",
                Some("tenant-a"),
                "slow",
                "beta",
                false,
            ),
            (
                "a longer word",
                Some("tenant-a"),
                "alphabetagamma, tenant-b2",
                "3 s",
                true,
            ),
        ] {
            let mut message = sample(Act::Trigger);
            message.tenant = tenant.map(Into::into);
            message.text = text.into();
            message.facts = vec![("p95".into(), fact.into())];
            assert_eq!(
                may_carry(channel, &message, &estate).is_ok(),
                fits,
                "{name}"
            );
            let open = estate.channel("a").expect("a channel");
            assert!(may_carry(open, &message, &estate).is_ok(), "{name}");
        }
    }
}
