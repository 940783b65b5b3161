//! Policies: what they never let through, or too late.

use super::*;

#[test]
fn cooldowns_that_are_longer_than_what_they_hold_up_are_found() {
    for (name, turns, expected) in [
        (
            "a step down",
            &[("cooldown = \"10m\"", "cooldown = \"2h\"")][..],
            &[(
                CooldownTooLong,
                "policy.cosmos_throughput.cooldown is 120 minutes, and there may be another step down after 60 (`scaling.cosmos.between_downs`)",
            )][..],
        ),
        (
            "what is calm",
            &[
                ("cooldown = \"10m\"", "cooldown = \"2h\""),
                ("between_downs = \"1h\"", "between_downs = \"2h\""),
            ],
            &[(
                CooldownTooLong,
                "policy.cosmos_throughput.cooldown is 120 minutes, and there is less after 60",
            )],
        ),
        (
            "a burst, and a scale-up",
            &[("cooldown = \"1m\"", "cooldown = \"31m\"")],
            &[
                (
                    CooldownTooLong,
                    "policy.app_replicas.cooldown is 31 minutes, and a burst is over after 30 (`scaling.apps.burst`)",
                ),
                (
                    CooldownTooLong,
                    "policy.app_replicas.cooldown is 31 minutes, and a scale-up is taken back after 30 that are calm (`health.calm`)",
                ),
            ],
        ),
        (
            "calm for longer than a burst",
            &[("burst = \"30m\"", "burst = \"10m\"")],
            &[(
                CooldownTooLong,
                "scaling.apps.calm is 15 minutes, longer than a burst of 10",
            )],
        ),
        (
            "a window that is over first",
            &[(
                THROUGHPUT,
                "[policy.cosmos_throughput]\nmode = \"act\"\nwindows = [\"01:55-02:05\"]",
            )],
            &[(
                CooldownTooLong,
                "policy.cosmos_throughput.cooldown is 10 minutes, and windows are open for 10 at most",
            )],
        ),
    ] {
        hold(name, &found(name, turns), expected);
    }
}

#[test]
fn policies_that_let_nothing_through_are_found() {
    let acts = |kind: &str, windows: &str| {
        format!("[policy.{kind}]\nmode = \"act\"\nwindows = [{windows}]")
    };
    let throughput = |windows: &str| acts("cosmos_throughput", windows);
    let replicas = |windows: &str| acts("app_replicas", windows);
    let logs = |windows: &str| acts("log_deletion", windows);
    let indexing = |windows: &str| acts("cosmos_indexing", windows);
    const LOGS: &str = "[policy.log_deletion]\nmode = \"propose\"";
    const INDEXING: &str = "[policy.cosmos_indexing]\nmode = \"propose\"";
    for (name, from, to, expected) in [
        (
            "nobody may approve",
            "approvers = [\"operator\", \"reviewer\"]\ncooldown = \"10m\"",
            "cooldown = \"10m\"".to_owned(),
            &[(NeverMade, "policy.cosmos_throughput.approvers names nobody")][..],
        ),
        (
            "nobody may approve what is asked first",
            "mode = \"propose\"\napprovers = [\"operator\", \"reviewer\"]\ncooldown = \"10m\"",
            "mode = \"act\"\ncooldown = \"10m\"".to_owned(),
            &[(NeverMade, "policy.cosmos_throughput.approvers names nobody")],
        ),
        (
            "one of four is too many",
            "most_per_run = 4\nmost_per_hour = 10",
            "most_share_percent = 20".to_owned(),
            &[(
                NeverMade,
                "policy.cosmos_throughput.most_share_percent is 20, and one of 4 is more",
            )],
        ),
        (
            "one of four is just enough",
            "most_per_run = 4\nmost_per_hour = 10",
            "most_share_percent = 25".to_owned(),
            &[],
        ),
        (
            "between two looks",
            THROUGHPUT,
            throughput("\"02:01-02:04\", \"12:56-13:00\""),
            &[(
                NeverMade,
                "policy.cosmos_throughput.windows are open at no multiple of five",
            )],
        ),
        (
            "never when an hour begins",
            THROUGHPUT,
            throughput("\"02:10-02:55\""),
            &[(
                NeverFires,
                "policy.cosmos_throughput.windows are closed in the first 10 minutes",
            )],
        ),
        ("at night", THROUGHPUT, throughput("\"01:00-05:00\""), &[]),
        (
            "always, in two parts",
            THROUGHPUT,
            throughput("\"12:00-00:00\", \"00:00-12:00\""),
            &[],
        ),
        (
            "raised and never taken back",
            REPLICAS,
            replicas("\"09:00-09:30\""),
            &[
                (
                    NeverMade,
                    "health.calm is 30 minutes, and windows of policy.app_replicas are open for 30 at most",
                ),
                (
                    NeverMade,
                    "scaling.apps.burst is 30 minutes, and windows of policy.app_replicas",
                ),
            ],
        ),
        (
            "taken back in time",
            REPLICAS,
            replicas("\"09:00-09:35\""),
            &[],
        ),
        (
            "not when maintenance runs",
            LOGS,
            logs("\"22:00-02:00\""),
            &[(
                NeverMade,
                "policy.log_deletion.windows are closed for an hour after 02:00",
            )],
        ),
        (
            "when maintenance runs on one day",
            LOGS,
            logs("\"sun 02:30-03:00\""),
            &[],
        ),
        (
            "indexes by day",
            INDEXING,
            indexing("\"mon,tue 10:00-16:00\""),
            &[(
                NeverMade,
                "policy.cosmos_indexing.windows are closed for an hour after 02:00",
            )],
        ),
        (
            "an approval that nobody can give in time",
            "approval_lasts = \"24h\"",
            "approval_lasts = \"4m\"".to_owned(),
            &[(NeverMade, "policy.log_deletion.approval_lasts is 4 minutes")],
        ),
        (
            "an approval that is over before it is of use",
            LOGS,
            "[policy.log_deletion]\nmode = \"propose\"\nwindows = [\"sun 02:00-04:00\"]".to_owned(),
            &[(
                NeverMade,
                "policy.log_deletion.approval_lasts is 24 h, and windows are closed for up to 166 h",
            )],
        ),
        (
            "one that waits for the night",
            LOGS,
            "[policy.log_deletion]\nmode = \"propose\"\nwindows = [\"02:00-04:00\"]".to_owned(),
            &[],
        ),
        (
            "what is only observed is never wrong",
            THROUGHPUT,
            "[policy.cosmos_throughput]\nmode = \"observe\"\nwindows = [\"02:01-02:04\"]"
                .to_owned(),
            &[],
        ),
    ] {
        hold(name, &found(name, &[(from, &to)]), expected);
    }
}
