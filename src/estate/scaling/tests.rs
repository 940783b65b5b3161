use chrono::Duration;

use super::*;
use crate::domain::Currency;
use crate::estate::{Estate, EstateError};

const STAMPS: &str = "[[stamps]]
name = 'jpe'
subscription = '11111111-2222-4333-8444-555555555555'
resource_group = 'g'
container_apps = ['api', 'worker']
cosmos = { account = 'a', database = 'd', containers = ['threads', 'runs'] }
[[stamps]]
name = 'jpw'
subscription = '11111111-2222-4333-8444-555555555555'
resource_group = 'g2'
container_apps = ['api']
cosmos = { account = 'b', database = 'd', containers = ['threads'] }
";
/// The line before the first that a test writes.
const ABOVE: usize = 12;

fn read(text: &str) -> Estate {
    Estate::parse(&format!("{STAMPS}{text}")).expect("an estate")
}

fn container(account: &str, name: Option<&str>) -> ResourceId {
    let group = if account == "a" { "g" } else { "g2" };
    let database = ResourceId::new(
        "11111111-2222-4333-8444-555555555555",
        group,
        "Microsoft.DocumentDB/databaseAccounts",
        account,
    )
    .child("sqlDatabases", "d");
    name.map_or(database.clone(), |name| database.child("containers", name))
}

fn app(group: &str, name: &str) -> ResourceId {
    let subscription = "11111111-2222-4333-8444-555555555555";
    ResourceId::new(subscription, group, "Microsoft.App/containerApps", name)
}

#[test]
fn nothing_is_owned_unless_the_estate_says_so() {
    for text in [
        "",
        "[scaling.cosmos]\nleast = 1000\n[scaling.apps]\nleast = 3\n",
        "[[scaling.containers]]\ncontainer = 'threads'\n[[scaling.container_apps]]\napp = 'api'\n",
    ] {
        let scaling = read(text).scaling;
        assert_eq!(scaling, Scaling::default(), "{text}");
    }
}

#[test]
fn what_is_owned_is_every_container_its_database_and_what_is_named_otherwise() {
    let scaling = read(
        "[scaling.cosmos]
own = true
most = 10000
calm = '90m'
[[scaling.databases]]
stamp = 'jpe'
database = 'd'
least = 1000
[[scaling.containers]]
container = 'threads'
stamp = 'jpw'
most = 4000
[[scaling.containers]]
container = 'runs'
own = false
[scaling.apps]
memory_percent = 75
[[scaling.container_apps]]
app = 'api'
own = true
least = 3
burst = '1h'
",
    )
    .scaling;
    let all = ThroughputRules {
        most: 10_000,
        calm: Duration::minutes(90),
        ..ThroughputRules::default()
    };
    let database = ThroughputRules { least: 1000, ..all };
    let fewer = ThroughputRules { most: 4000, ..all };
    for (name, id, expected) in [
        ("as all", container("a", Some("threads")), Some(&all)),
        ("not owned", container("a", Some("runs")), None),
        ("a database", container("a", None), Some(&database)),
        ("another database", container("b", None), Some(&all)),
        ("otherwise", container("b", Some("threads")), Some(&fewer)),
        ("not in the estate", container("b", Some("runs")), None),
    ] {
        assert_eq!(scaling.throughput(&id), expected, "{name}");
    }
    let api = ReplicaRules {
        least: 3,
        memory_percent: 75,
        burst: Duration::hours(1),
        ..ReplicaRules::default()
    };
    assert_eq!(scaling.replicas(&app("g", "api")), Some(&api));
    assert_eq!(scaling.replicas(&app("G2", "API")), Some(&api));
    assert_eq!(scaling.replicas(&app("g", "worker")), None);
}

#[test]
fn prices_are_those_of_a_region_and_a_mode() {
    let prices = read(
        "[prices]
currency = 'JPY'
[[prices.cosmos]]
region = 'Japan East'
hundred_ru_hour = '1.2'
[[prices.apps]]
region = 'japaneast'
vcpu_hour = 13.5
gib_hour = 2
",
    )
    .scaling
    .prices;
    let yen: Currency = "JPY".parse().expect("a currency");
    let money = |micros| Some(Money::new(micros, yen));
    for (name, found, expected) in [
        (
            "manual",
            prices.throughput_hour("japaneast", Capacity::Manual(1000), 1),
            money(12_000_000),
        ),
        (
            "autoscale, in two regions",
            prices.throughput_hour("JapanEast", Capacity::Autoscale(1000), 2),
            money(36_000_000),
        ),
        (
            "elsewhere",
            prices.throughput_hour("japanwest", Capacity::Manual(1000), 1),
            None,
        ),
        (
            "a replica",
            prices.replica_hour("Japan East", 0.5, 1.0),
            money(8_750_000),
        ),
    ] {
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn what_is_wrong_with_scaling_is_told_with_its_line() {
    let cases: [(&str, &str, &[&str]); 16] = [
        (
            "a key that does not exist",
            "[scaling.cosmos]\nup = 80\n",
            &["line 2: `scaling.cosmos.up` is unknown"],
        ),
        (
            "one in an entry",
            "[[scaling.containers]]\ncontainer = 'runs'\nmost_ru = 1000\n",
            &["line 3: `scaling.containers[0].most_ru` is unknown"],
        ),
        (
            "two kinds of rules",
            "[scaling.apps]\ncpu_percent = '70'\n",
            &["line 2: `scaling.apps.cpu_percent` is string, and should be a number"],
        ),
        (
            "throughput that Azure does not have",
            "[scaling.cosmos]\nleast = 350\nmost = 1250\n",
            &[
                "line 2: `scaling.cosmos.least` is 350: 400 to 20000 RU/s in steps of 100 are possible",
                "line 3: `scaling.cosmos.most` is 1250: 400 to 20000 RU/s in steps of 100 are possible",
            ],
        ),
        (
            "more than the limit",
            "[scaling.cosmos]\nmost = 20100\n",
            &[
                "line 2: `scaling.cosmos.most` is 20100: 400 to 20000 RU/s in steps of 100 are possible",
            ],
        ),
        (
            "the least above the most",
            "[[scaling.containers]]\ncontainer = 'runs'\nmost = 1000\nleast = 2000\n",
            &["line 4: `scaling.containers[0].least` is 2000, and most 1000"],
        ),
        (
            "an entry is told what is wrong with itself only",
            "[scaling.cosmos]\nmost = 10\n[[scaling.containers]]\ncontainer = 'runs'\ntarget_percent = 0\n",
            &[
                "line 2: `scaling.cosmos.most` is 10: 400",
                "line 1: `scaling.cosmos.least` is 400, and most 10",
                "line 5: `scaling.containers[0].target_percent` is 0: 1 to 100 is possible",
            ],
        ),
        (
            "busy and calm at once",
            "[scaling.cosmos]\nup_percent = 30\ndown_percent = 25\n",
            &[
                "line 3: `scaling.cosmos.down_percent` is 25, which is less than 10 below up_percent (30)",
            ],
        ),
        (
            "no samples",
            "[scaling.cosmos]\nof_samples = 0\nhot_samples = 0\n[scaling.apps]\nhot_samples = 4\n",
            &[
                "line 2: `scaling.cosmos.of_samples` is 0: 1 to 60 is possible",
                "line 3: `scaling.cosmos.hot_samples` is 0",
                "line 5: `scaling.apps.hot_samples` is 4: 1 to 3, which is of_samples, is possible",
            ],
        ),
        (
            "times",
            "[scaling.cosmos]\ncalm = '59m'\nbetween_downs = 'never'\nahead = '25h'\n",
            &[
                "line 2: `scaling.cosmos.calm` is `59m`: 60m to 24h is possible",
                "line 3: `scaling.cosmos.between_downs` is `never`: a time such as 15m",
                "line 4: `scaling.cosmos.ahead` is `25h`: 0m to 24h is possible",
            ],
        ),
        (
            "replicas that Azure does not have",
            "[scaling.apps]\nleast = 0\nmost = 1001\n",
            &[
                "line 2: `scaling.apps.least` is 0: 1 to 1000 is possible",
                "line 3: `scaling.apps.most` is 1001: 1 to 1000 is possible",
            ],
        ),
        (
            "what is not in the estate",
            "[[scaling.containers]]\ncontainer = 'run'\n[[scaling.container_apps]]\napp = 'worker'\nstamp = 'jpw'\n[[scaling.databases]]\ndatabase = 'd'\nstamp = 'use'\n",
            &[
                "line 8: `scaling.databases[0].stamp` is `use`: no stamp of the estate",
                "line 2: `scaling.containers[0].container` is `run`: no container of a stamp",
                "line 4: `scaling.container_apps[0].app` is `worker`: no app of stamp `jpw`",
            ],
        ),
        (
            "one container in two entries",
            "[[scaling.containers]]\ncontainer = 'threads'\n[[scaling.containers]]\ncontainer = 'threads'\nstamp = 'jpw'\n",
            &[
                "line 4: `scaling.containers[1].container` is `threads`, which `scaling.containers[0]` names for stamp `jpw` as well",
            ],
        ),
        (
            "prices without a currency",
            "[prices]\n[[prices.cosmos]]\nregion = 'japaneast'\nhundred_ru_hour = 1\n",
            &["line 1: `prices.currency` is missing"],
        ),
        (
            "what is no price",
            "[prices]\ncurrency = 'yen'\n[[prices.cosmos]]\nregion = '?'\nhundred_ru_hour = -1\n[[prices.apps]]\nregion = 'japaneast'\nvcpu_hour = '0.0000001'\ngib_hour = 0\n",
            &[
                "line 2: `prices.currency` is `yen`: JPY or USD is possible",
                "line 4: `prices.cosmos[0].region` is `?`: a region such as japaneast is possible",
                "line 5: `prices.cosmos[0].hundred_ru_hour` is no price",
                "line 8: `prices.apps[0].vcpu_hour` is no price",
                "line 9: `prices.apps[0].gib_hour` is no price",
            ],
        ),
        (
            "a price of another type, and one twice",
            "[prices]\ncurrency = 'JPY'\n[[prices.cosmos]]\nregion = 'japaneast'\nhundred_ru_hour = true\n",
            &["line 5: `prices.cosmos[0].hundred_ru_hour` is boolean, and should be a number"],
        ),
    ];
    for (name, text, expected) in cases {
        let found = match Estate::parse(&format!("{STAMPS}{text}")) {
            Ok(_) => Vec::new(),
            Err(EstateError(problems)) => problems,
        };
        let found: Vec<String> = found
            .into_iter()
            .map(|mut problem| {
                problem.line = problem.line.map(|line| line.saturating_sub(ABOVE));
                problem.to_string()
            })
            .collect();
        assert_eq!(found.len(), expected.len(), "{name}: {found:#?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.starts_with(expected), "{name}: {found}");
        }
    }
}

#[test]
fn a_region_has_one_price() {
    let twice = "[prices]
currency = 'JPY'
[[prices.cosmos]]
region = 'japaneast'
hundred_ru_hour = 1
[[prices.cosmos]]
region = 'Japan East'
hundred_ru_hour = 2
";
    let found = Estate::parse(twice).expect_err("a price twice").to_string();
    assert!(
        found.contains("`japaneast`, which has a price before"),
        "{found}"
    );
}
