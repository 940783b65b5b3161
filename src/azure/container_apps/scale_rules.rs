//! The rules by which the platform adds replicas when theirs use much of their CPU or memory.
//!
//! Source: Container Apps, "Set scaling rules", custom rules of types `cpu` and `memory`.

use reqwest::Method;
use serde_json::{Value, json};

use super::{API_VERSION, ScaleRule, WRITE_APP, app};
use crate::azure::{Azure, Call, Error, Permit, Plane};
use crate::domain::{self, ResourceId, Utilization};

/// Those of an app's rules that are by utilization, by the name of the resource.
#[must_use]
pub fn utilizations(rules: &[ScaleRule]) -> Vec<Utilization> {
    let mut found: Vec<_> = rules.iter().filter_map(known).collect();
    found.sort_by(|a, b| a.resource.cmp(&b.resource));
    found
}

fn known(rule: &ScaleRule) -> Option<Utilization> {
    let (resource, percent) = rule.utilization()?;
    Some(Utilization {
        resource: resource.to_owned(),
        percent,
    })
}

/// Replaces the rules by utilization of an app, and waits for Azure. It makes a new revision. Every
/// other rule stays as it is, also what is not known here: all of them are read just before, and
/// sent back. Asking twice for the same is harmless.
///
/// Errors: [`Error::Changed`] if the rules are not `from` any more; nothing is sent then.
pub async fn set_scale_rules(
    azure: &Azure,
    id: &ResourceId,
    from: &[Utilization],
    to: &[Utilization],
    permit: &dyn Permit,
) -> Result<(), Error> {
    let found = app(azure, id).await?;
    let known = utilizations(&found.scale_rules);
    if known != from {
        return Err(Error::Changed {
            what: id.to_string(),
            code: format!("other scale rules: {}", domain::utilizations(&known)),
        });
    }
    let rules = turned(&found.scale_rules, to).map_err(Error::Setting)?;
    let url = azure.arm(id.as_str(), API_VERSION)?;
    let call = Call::new(Plane::Arm, Method::PATCH, url, WRITE_APP, id.as_str())
        .body(json!({
            "location": found.location,
            "properties": { "template": { "scale": { "rules": rules } } },
        }))
        .permit(permit);
    azure.finish(&call).await
}

/// The rules with these by utilization: those that are there keep their place and their name.
///
/// Errors: a rule of another kind looks at the same resource; which of them is wanted only people
/// know.
fn turned(found: &[ScaleRule], to: &[Utilization]) -> Result<Vec<Value>, String> {
    let mut rules = Vec::new();
    let mut left: Vec<&Utilization> = to.iter().collect();
    for rule in found {
        let Some(known) = known(rule) else {
            let kind = rule.0["custom"]["type"].as_str().unwrap_or_default();
            if to.iter().any(|one| one.resource.eq_ignore_ascii_case(kind)) {
                let name = rule.name();
                return Err(format!(
                    "rule `{name}` looks at {kind} as well, and not by utilization"
                ));
            }
            rules.push(rule.0.clone());
            continue;
        };
        let Some(place) = left.iter().position(|one| one.resource == known.resource) else {
            continue;
        };
        let wanted = left.remove(place);
        let mut rule = rule.0.clone();
        rule["custom"]["metadata"]["value"] = json!(wanted.percent.to_string());
        rules.push(rule);
    }
    for one in left {
        let mut name = format!("{}-utilization", one.resource);
        while rules.iter().any(|rule| rule["name"] == json!(name)) {
            name.push_str("-own");
        }
        rules.push(json!({
            "name": name,
            "custom": {
                "type": one.resource,
                "metadata": { "type": "Utilization", "value": one.percent.to_string() },
            },
        }));
    }
    Ok(rules)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_by_utilization_change_and_all_others_stay() {
        let rule = |resource: &str, percent| Utilization {
            resource: resource.into(),
            percent,
        };
        let cpu = json!({ "name": "busy", "custom": { "type": "cpu",
            "metadata": { "type": "Utilization", "value": "60" } } });
        let queue = json!({ "name": "queue", "azureQueue": { "queueName": "q", "queueLength": 20,
            "auth": [{ "secretRef": "s", "triggerParameter": "connection" }] } });
        let found = [ScaleRule(cpu.clone()), ScaleRule(queue.clone())];
        let seventy = json!({ "name": "busy", "custom": { "type": "cpu",
            "metadata": { "type": "Utilization", "value": "70" } } });
        let memory = json!({ "name": "memory-utilization", "custom": { "type": "memory",
            "metadata": { "type": "Utilization", "value": "80" } } });
        for (name, to, expected) in [
            (
                "another value and another rule",
                vec![rule("cpu", 70), rule("memory", 80)],
                vec![seventy, queue.clone(), memory.clone()],
            ),
            ("none left", vec![], vec![queue.clone()]),
            (
                "one for another",
                vec![rule("memory", 80)],
                vec![queue.clone(), memory],
            ),
            ("the same", vec![rule("cpu", 60)], vec![cpu, queue]),
        ] {
            let rules = turned(&found, &to).expect("rules");
            assert_eq!(rules, expected, "{name}");
            let read: Vec<_> = rules.into_iter().map(ScaleRule).collect();
            assert_eq!(utilizations(&read), to, "{name}: read back");
        }
        let absolute = [ScaleRule(
            json!({ "name": "mine", "custom": { "type": "cpu",
            "metadata": { "type": "AverageValue", "value": "500m" } } }),
        )];
        let refused = turned(&absolute, &[rule("cpu", 70)]).expect_err("two of cpu");
        assert!(refused.contains("`mine`"), "{refused}");
    }
}
