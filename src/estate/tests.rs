use super::*;
use crate::domain::Mode;

fn problems(text: &str) -> Vec<String> {
    match Estate::parse(text) {
        Ok(_) => Vec::new(),
        Err(EstateError(problems)) => problems.iter().map(ToString::to_string).collect(),
    }
}

const STAMP: &str = "[[stamps]]
name = 'a'
subscription = '11111111-2222-4333-8444-555555555555'
resource_group = 'g'
";

#[test]
fn the_estate_that_ships_is_right() {
    let estate = Estate::parse(include_str!("../../infra/estate.toml")).expect("infra/estate.toml");
    assert!(!estate.stamps.is_empty() && !estate.tenants.is_empty());
    let cosmos = estate.stamps[0].cosmos.as_ref().expect("a Cosmos account");
    assert_eq!(cosmos.containers, ["threads", "messages", "runs", "files"]);
}

#[test]
fn what_is_wrong_is_told_with_its_line_and_the_nearest_key() {
    let cases: [(&str, &str, &[&str]); 14] = [
        ("nothing is wrong", "", &[]),
        ("no TOML", "time_zone = \n", &["line 1: is not TOML"]),
        (
            "unknown keys",
            "timezone = 'UTC'\n[maintenance.dayly]\n[maintenance.weekly]\ncatchup = '3d'\nxyz = 1\n",
            &[
                "line 2: `maintenance.dayly` is unknown: is `daily` meant?",
                "line 4: `maintenance.weekly.catchup` is unknown: is `catch_up` meant?",
                "line 5: `maintenance.weekly.xyz` is unknown: known are at, catch_up, day, weekday",
                "line 1: `timezone` is unknown: is `time_zone` meant?",
            ],
        ),
        (
            "wrong types",
            "time_zone = 9\nstamps = 'one'\n[maintenance.monthly]\nday = 'first'\n",
            &[
                "line 4: `maintenance.monthly.day` is string, and should be a number",
                "line 2: `stamps` is string, and should be a list",
                "line 1: `time_zone` is integer, and should be a text",
            ],
        ),
        (
            "missing keys",
            "[[stamps]]\nname = 'a'\n",
            &[
                "line 1: `stamps[0].subscription` is missing",
                "line 1: `stamps[0].resource_group` is missing",
            ],
        ),
        (
            "wrong values",
            "time_zone = 'Mars'\n[maintenance.daily]\nat = '25:00'\nday = 3\n[maintenance.monthly]\nday = 40\ncatch_up = '5 d'\n",
            &[
                "line 1: `time_zone` is `Mars`: no IANA time zone",
                "line 4: `maintenance.daily.day` belongs to monthly maintenance only",
                "line 6: `maintenance.monthly.day` is 40: 1 to 31 is possible",
                "line 3: `maintenance.daily.at` is `25:00`: a time such as 02:00 is possible",
                "line 7: `maintenance.monthly.catch_up` is `5 d`: a time such as 90m, 20h or 3d is possible",
            ],
        ),
        (
            "a kind of change that does not exist",
            "[policy.cosmos_througput]\nmode = 'act'\n",
            &["line 1: `policy.cosmos_througput` is unknown: is `cosmos_throughput` meant?"],
        ),
        (
            "a mode that does not exist",
            "[policy.app_restart]\nmode = 'auto'\n",
            &["line 2: `policy.app_restart.mode` is `auto`: observe, propose, act is possible"],
        ),
        (
            "a negative number",
            "[policy.app_restart]\nmost_per_run = -1\n",
            &["line 2: `policy.app_restart.most_per_run` is -1: not a number that fits"],
        ),
        (
            "a policy that cannot hold",
            "[policy.app_restart]\nmost_share_percent = 120\nmost_per_hour = 0\nwindows = ['night']\napproval_lasts = 'long'\n",
            &[
                "line 5: `policy.app_restart.approval_lasts` is `long`",
                "line 3: `policy.app_restart.most_per_hour` is 0: to change nothing, the mode is observe",
                "line 2: `policy.app_restart.most_share_percent` is more than 100",
                "line 4: `policy.app_restart.windows[0]` is `night`: `01:00-05:00`",
            ],
        ),
        (
            "logs of nobody",
            "[logs]\nkeep_days = 0\n[[logs.containers]]\naccount = 'st'\ncontainer = '../x'\n",
            &[
                "line 2: `logs.keep_days` is 0: 1 to 4383 days are possible",
                "line 5: `logs.containers[0].container` is `../x`: no name of a container",
                "line 4: `logs.containers[0].account` is `st`: no storage account of a stamp",
            ],
        ),
        (
            "indexes that are judged by nothing",
            "[indexing]\ndays = 0\nleast_queries = 0\n",
            &[
                "line 2: `indexing.days` is 0: 1 to 90 days are possible",
                "line 3: `indexing.least_queries` is 0: no index is known to be unused",
            ],
        ),
        (
            "an application without an id",
            "[certificates]\napplications = ['agents']\n",
            &["line 2: `certificates.applications[0]` is `agents`: no application id"],
        ),
        (
            "tenants twice",
            "[[tenants]]\nid = 't'\n[[tenants]]\nid = 't'\n",
            &["line 4: `tenants[1].id` is `t`, as that of another tenant"],
        ),
    ];
    for (name, text, expected) in cases {
        let found = problems(text);
        assert_eq!(found.len(), expected.len(), "{name}: {found:#?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.starts_with(expected), "{name}: {found}");
        }
    }
}

#[test]
fn a_workspace_may_have_its_customer_id() {
    let odd = format!("{STAMP}workspace_id = 'x'\n");
    let found = problems(&odd);
    assert_eq!(found.len(), 2, "{found:?}");
    let id = "5f0c3c1e-6a54-4c58-9d0f-0f6d2f1f7a11";
    let known = format!("{STAMP}workspace = 'log'\nworkspace_id = '{id}'\n");
    let estate = Estate::parse(&known).expect("an estate");
    let workspace = estate.stamps[0].workspace.as_ref().expect("a workspace");
    assert_eq!(workspace.customer_id.as_deref(), Some(id));
    assert_eq!(workspace.id.name(), "log");
}

#[test]
fn a_stamp_names_each_resource_once() {
    let twice = format!("{STAMP}key_vaults = ['kv', 'kv']\ncontainer_apps = ['a b']\n");
    assert_eq!(
        problems(&twice),
        [
            "line 6: `stamps[0].container_apps[0]` is `a b`: no name of an Azure resource",
            "line 5: `stamps[0].key_vaults[1]` is `kv`, which is named before",
        ]
    );
    let shared = format!("{STAMP}{}", STAMP.replace("'a'", "'b'"));
    assert_eq!(problems(&shared), Vec::<String>::new());
}

#[test]
fn a_target_is_what_the_estate_names() {
    let text = format!(
        "{STAMP}container_apps = ['api']\n[stamps.cosmos]\naccount = 'c'\ndatabase = 'd'\n"
    );
    let estate = Estate::parse(&text).expect("an estate");
    let group = "/subscriptions/11111111-2222-4333-8444-555555555555/resourceGroups/g";
    let kind = |text: &str| estate.target(text).map(|t| t.resource().kind);
    let cases = [
        (group.to_uppercase(), Some(Kind::ResourceGroup)),
        (format!("{group}/providers/microsoft.app/containerapps/API"), Some(Kind::ContainerApp)),
        (
            format!("{group}/providers/Microsoft.DocumentDB/databaseAccounts/c/sqlDatabases/d"),
            Some(Kind::CosmosAccount),
        ),
        (format!("{group}/providers/Microsoft.App/containerApps/api2"), None),
        (format!("{group}/providers/Microsoft.Web/sites/other"), None),
        ("/subscriptions/11111111-2222-4333-8444-555555555555".into(), None),
        (
            "/subscriptions/99999999-2222-4333-8444-555555555555/resourceGroups/g/providers/Microsoft.App/containerApps/api".into(),
            None,
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(kind(&text), expected, "{text}");
    }
    assert_eq!(estate.policy(ChangeKind::AppRestart).mode, Mode::Propose);
}

#[test]
fn what_is_protected_cannot_be_cleaned() {
    let text = format!(
        "{STAMP}storage_accounts = ['st']
[[logs.containers]]
account = 'st'
container = 'reports'
[[logs.containers]]
account = 'st'
container = 'app'
[[logs.containers]]
account = 'st'
container = 'app'
prefix = '2026/'
[[logs.protected]]
account = 'st'
container = 'reports'
mark = 'report-source'
"
    );
    assert_eq!(
        problems(&text),
        [
            "line 8: `logs.containers[0].container` is `reports`, which is protected as report-source: it cannot be cleaned",
            "line 14: `logs.containers[2].container` is `app`, which is listed before: a container has one entry",
        ]
    );
}

#[test]
fn the_schema_knows_every_kind_of_change() {
    let text = schema().to_string();
    for kind in ChangeKind::ALL {
        assert!(text.contains(kind.as_str()), "{kind}");
    }
}

#[test]
fn the_schema_beside_the_estate_is_the_programs_own() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/infra/estate.schema.json");
    let kept = std::fs::read_to_string(path).expect("the schema");
    assert_eq!(
        kept.trim_end(),
        format!("{:#}", schema()),
        "run: poolkeeper check --schema > infra/estate.schema.json"
    );
}
