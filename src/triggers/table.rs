/// How a function is triggered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Timer {
        schedule: &'static str,
    },
    Queue,
    Http {
        method: &'static str,
        route: &'static str,
    },
}

/// One function, as its `function.json` declares it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Function {
    pub name: &'static str,
    pub kind: Kind,
    pub what: &'static str,
}

/// Every function of Poolkeeper. A test holds it equal to `functions/`.
#[must_use]
pub fn table() -> &'static [Function] {
    const fn f(name: &'static str, kind: Kind, what: &'static str) -> Function {
        Function { name, kind, what }
    }
    const QUARTERLY: Kind = Kind::Timer {
        schedule: "0 */15 * * * *",
    };
    const fn http(method: &'static str, route: &'static str) -> Kind {
        Kind::Http { method, route }
    }
    const TABLE: &[Function] = &[
        f(
            "alerts",
            http("post", "alerts"),
            "takes an Azure Monitor alert",
        ),
        f(
            "autoscale",
            http("get", "autoscale/{action?}"),
            "shows what scaling decided, and lets it look on request",
        ),
        f(
            "autoscale-check",
            Kind::Timer {
                schedule: "0 */5 * * * *",
            },
            "holds throughput and replicas against the load, and renews forecasts",
        ),
        f(
            "capacity",
            http("get", "capacity"),
            "shows what was used, what is forecast and what there should be",
        ),
        f(
            "changes",
            http("get", "changes/{id?}/{action?}"),
            "shows changes, and takes proposals and decisions",
        ),
        f(
            "daily-maintenance",
            QUARTERLY,
            "starts daily maintenance when it is due",
        ),
        f("health", http("get", "health"), "says version and ok"),
        f(
            "health-check",
            Kind::Timer {
                schedule: "0 * * * * *",
            },
            "probes every endpoint, and begins to repair what fails",
        ),
        f(
            "incidents",
            http("get", "incidents/{id?}/{action?}"),
            "shows incidents as pages or JSON, and takes what people do to them",
        ),
        f(
            "maintenance",
            http("post", "maintenance/{cadence}"),
            "starts maintenance on request",
        ),
        f(
            "minute-tick",
            Kind::Timer {
                schedule: "0 * * * * *",
            },
            "starts what was accepted and not started",
        ),
        f(
            "monthly-maintenance",
            QUARTERLY,
            "starts monthly maintenance when it is due",
        ),
        f(
            "oncall",
            http("get", "oncall/{action?}"),
            "shows who is on duty, and takes overrides",
        ),
        f(
            "quiet",
            http("get", "quiet/{id?}/{action?}"),
            "shows what is kept quiet, and takes silences and windows",
        ),
        f(
            "rules",
            Kind::Timer {
                schedule: "0 * * * * *",
            },
            "holds telemetry against the rules",
        ),
        f("runs", http("get", "runs/{id?}"), "shows runs"),
        f(
            "weekly-maintenance",
            QUARTERLY,
            "starts weekly maintenance when it is due",
        ),
        f("work", Kind::Queue, "brings one run to its end"),
    ];
    TABLE
}

/// How the folders of functions differ from [`table`]; nothing when the host would call exactly
/// what is served.
///
/// Errors: the folder cannot be read.
#[cfg(any(test, feature = "local"))]
pub(crate) fn differences(folder: &std::path::Path) -> std::io::Result<Vec<String>> {
    let mut differences = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let known = table()
            .iter()
            .any(|f| path.file_name().is_some_and(|name| name == f.name));
        if path.is_dir() && !known {
            differences.push(format!("`{}` is no function of this build", path.display()));
        }
    }
    differences.sort();
    for function in table() {
        let file = folder.join(function.name).join("function.json");
        let json = match std::fs::read_to_string(&file) {
            Ok(text) => serde_json::from_str::<serde_json::Value>(&text)
                .map_err(|error| format!("`{}` is not JSON: {error}", file.display())),
            Err(error) => Err(format!("cannot read `{}`: {error}", file.display())),
        };
        let json = match json {
            Ok(json) => json,
            Err(problem) => {
                differences.push(problem);
                continue;
            }
        };
        let trigger = match function.kind {
            Kind::Timer { schedule } => vec![("schedule", schedule)],
            Kind::Queue => vec![("queueName", "%POOLKEEPER_QUEUE%")],
            Kind::Http { method, route } => vec![("methods/0", method), ("route", route)],
        };
        for (key, ours) in trigger {
            let theirs = json.pointer(&format!("/bindings/0/{key}"));
            if theirs.and_then(serde_json::Value::as_str) != Some(ours) {
                differences.push(format!(
                    "`{}` differs from this build: `bindings/0/{key}` must be `{ours}`",
                    file.display()
                ));
            }
        }
    }
    Ok(differences)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn the_table_and_the_function_folders_are_the_same() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("functions");
        assert_eq!(
            differences(&folder).expect("the functions folder"),
            Vec::<String>::new()
        );
    }

    #[test]
    fn the_example_settings_name_exactly_the_settings_that_are_read() {
        let file =
            std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("local.settings.example.json");
        let json: Value =
            serde_json::from_str(&std::fs::read_to_string(file).expect("the example"))
                .expect("JSON");
        let values = json["Values"].as_object().expect("Values");
        let mut ours: Vec<&str> = values
            .keys()
            .map(String::as_str)
            .filter(|k| k.starts_with("POOLKEEPER_"))
            .collect();
        let mut read = crate::config::NAMES.to_vec();
        ours.sort_unstable();
        read.sort_unstable();
        assert_eq!(ours, read);
        let lookup = |name: &str| values.get(name).and_then(Value::as_str).map(str::to_owned);
        assert!(crate::config::Config::read(lookup).is_ok());
    }

    #[test]
    fn the_readme_names_every_function_and_every_setting() {
        let readme = include_str!("../../README.md");
        let names = table().iter().map(|f| f.name);
        for name in names.chain(crate::config::NAMES.iter().copied()) {
            assert!(readme.contains(&format!("`{name}`")), "{name}");
        }
    }
}
