//! Scaling that somebody asks for.

use crate::app::App;
use crate::domain::ResourceId;
use crate::estate::Estate;
use crate::journal::{RunId, Wake, Work};
use crate::operations::work::{Acceptance, accept};
use crate::store::Error;

/// Why nothing was begun.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error("scaling owns nothing that is called `{0}`: see `poolkeeper autoscale show`")]
    NotOwned(String),
    #[error("`{name}` is the name of several things that scaling owns; write one of: {ids}")]
    Ambiguous { name: String, ids: String },
    #[error(transparent)]
    Estate(anyhow::Error),
    #[error(transparent)]
    Store(#[from] Error),
}

/// Accepts a run that looks at `resource`, or at everything, and says which. `key` names the request:
/// the same one meets its run.
///
/// `resource` is an id, or a name as people write it: `account/database/container`, an account, an
/// app.
pub async fn ask(
    app: &App,
    key: &str,
    by: &str,
    resource: Option<&str>,
    dry_run: bool,
) -> Result<Acceptance, Refused> {
    let estate = app.estate().map_err(Refused::Estate)?;
    let only = match resource {
        None => None,
        Some(text) => {
            let mut found = owned(estate, text);
            if found.len() > 1 {
                let ids: Vec<&str> = found.iter().map(ResourceId::as_str).collect();
                return Err(Refused::Ambiguous {
                    name: text.to_owned(),
                    ids: ids.join(", "),
                });
            }
            let one = found.pop();
            Some(one.ok_or_else(|| Refused::NotOwned(text.to_owned()))?)
        }
    };
    let run: RunId = format!("autoscale-request-{key}")
        .parse()
        .map_err(|_| Refused::NotOwned(key.to_owned()))?;
    let work = Work::Autoscale {
        only,
        cause: Wake::Request { by: by.to_owned() },
        dry_run,
    };
    Ok(accept(app, run, work).await?)
}

/// What is called so, of the things that scaling owns and what holds some of them: stamps may have apps
/// of one name.
fn owned(estate: &Estate, text: &str) -> Vec<ResourceId> {
    let text = text.trim().trim_matches('/');
    let slashed = format!("/{text}");
    let containers = estate.scaling.containers.iter().map(|(id, _)| id);
    let mut found: Vec<ResourceId> = Vec::new();
    for id in containers.chain(estate.scaling.apps.iter().map(|(id, _)| id)) {
        let mut named = Some(id.clone());
        while let Some(one) = named {
            let is_meant = one.is(&slashed) || one.short().eq_ignore_ascii_case(text);
            named = outer(&one);
            if is_meant && !found.contains(&one) {
                found.push(one);
            }
        }
    }
    found
}

/// What a container or a database lies in; `None` for an account or an app.
fn outer(id: &ResourceId) -> Option<ResourceId> {
    let (_, inside) = id.as_str().rsplit_once("/providers/")?;
    // A provider, and a type and a name for each level.
    if inside.split('/').count() <= 3 {
        return None;
    }
    let (rest, _) = id.as_str().rsplit_once('/')?;
    let (rest, _) = rest.rsplit_once('/')?;
    Some(ResourceId::from_text(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_named_is_what_is_owned() {
        let text = include_str!("../../../infra/estate.toml");
        let estate = Estate::parse(text).expect("the estate");
        let container = estate.scaling.containers[0].0.clone();
        let database = outer(&container).expect("a database");
        let account = outer(&database).expect("an account");
        assert_eq!(outer(&account), None);
        let app = estate.scaling.apps[0].0.clone();
        for (text, expected) in [
            (container.as_str().to_owned(), Some(&container)),
            (container.short(), Some(&container)),
            (container.short().to_uppercase(), Some(&container)),
            (database.short(), Some(&database)),
            (account.name().to_owned(), Some(&account)),
            (app.name().to_owned(), Some(&app)),
            ("agent-api".into(), None),
            ("other/agents/threads".into(), None),
            (String::new(), None),
        ] {
            let found = owned(&estate, &text);
            assert_eq!(found.first(), expected, "{text}");
            assert!(found.len() < 2, "{text}: {found:?}");
        }
        // Another stamp has an app of the same name.
        let mut estate = estate;
        let (first, rules) = estate.scaling.apps[0].clone();
        let other = ResourceId::group("other", "rg").as_str().to_owned()
            + "/providers/Microsoft.App/containerApps/"
            + first.name();
        let other = ResourceId::from_text(&other);
        estate.scaling.apps.push((other.clone(), rules));
        let both = owned(&estate, first.name());
        assert_eq!(both, [first, other.clone()]);
        assert_eq!(owned(&estate, other.as_str()), [other]);
    }
}
