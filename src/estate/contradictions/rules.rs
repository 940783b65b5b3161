//! Rules that are watched, against what answers them.

use super::ContradictionKind::{AlwaysFires, NeverAnswered, NeverFires};
use super::Told;
use crate::estate::{Above, Endpoint, Estate, Response, Rule, Watch};

pub(super) fn find(estate: &Estate, told: &mut Told<'_>) {
    for (index, rule) in estate.rules.iter().enumerate() {
        if !rule.enabled {
            continue;
        }
        let key = |field: &str| format!("rules[{index}].{field}");
        match rule.response {
            Response::Notify => {}
            Response::Recover => {
                let repairs = |e: &Endpoint| !e.recovery.is_empty();
                if !estate.health.endpoints.iter().any(repairs) {
                    let message = "is recover, and `health` has no endpoint that is repaired";
                    told.tell(NeverAnswered, &key("response"), message);
                }
            }
            Response::Scale => scales(estate, rule, index, told),
        }
        if let Watch::RequestUnits { .. } = rule.watch {
            wanted(estate, rule, index, told);
        }
    }
    evidence(estate, told);
}

/// Whether scaling can answer what a rule asks it for.
fn scales(estate: &Estate, rule: &Rule, index: usize, told: &mut Told<'_>) {
    let key = |field: &str| format!("rules[{index}].{field}");
    if !matches!(rule.watch, Watch::RequestUnits { .. }) {
        // It is about requests, and answered by the apps that serve them.
        if estate.scaling.apps.is_empty() {
            let message = "is scale, and `scaling` owns no app";
            told.tell(NeverAnswered, &key("response"), message);
        }
        return;
    }
    let owned = || estate.scaling.containers.iter().map(|(_, rules)| rules);
    let Some(up) = owned().map(|rules| rules.up_percent).min() else {
        let message = "is scale, and `scaling` owns no container";
        told.tell(NeverAnswered, &key("response"), message);
        return;
    };
    let calm = owned().map(|rules| rules.calm).min();
    for level in &rule.levels {
        if let Above::Percent(above) = level.above
            && above.number() < f64::from(up)
        {
            let message = format!(
                "has {} from {} % on, and scaling gives more only above {up} %",
                level.priority,
                above.number()
            );
            told.tell(NeverAnswered, &key("levels"), message);
        }
        let holds = i32::try_from(level.holds).unwrap_or(i32::MAX);
        let late = level.every.checked_mul(holds);
        let late = late.and_then(|late| late.checked_add(&estate.evaluator.lag));
        if let (Some(late), Some(calm)) = (late, calm)
            && late >= calm
        {
            let message = format!(
                "has {} {} minutes after it began, when scaling may have taken away for {} that were calm",
                level.priority,
                late.num_minutes(),
                calm.num_minutes()
            );
            told.tell(NeverAnswered, &key("for"), message);
        }
    }
}

/// What scaling fills throughput to on purpose is no trouble.
fn wanted(estate: &Estate, rule: &Rule, index: usize, told: &mut Told<'_>) {
    let targets = estate.scaling.containers.iter();
    let Some(target) = targets.map(|(_, rules)| rules.target_percent).max() else {
        return;
    };
    for level in &rule.levels {
        if let Above::Percent(above) = level.above
            && above.number() < f64::from(target)
        {
            let message = format!(
                "has {} from {} % on, and scaling aims for {target} %",
                level.priority,
                above.number()
            );
            told.tell(AlwaysFires, &format!("rules[{index}].levels"), message);
        }
    }
}

/// Queries are looked at for longer than logs are sure to be kept.
fn evidence(estate: &Estate, told: &mut Told<'_>) {
    let days = estate.indexing.days;
    let kept = estate.logs.tables_keep_days;
    if estate.stamps.iter().any(|stamp| stamp.cosmos.is_some()) && days > kept {
        let message = format!(
            "is {days}, and `logs.tables_keep_days` is {kept}: the queries of before may be gone"
        );
        told.tell(NeverFires, "indexing.days", message);
    }
}
