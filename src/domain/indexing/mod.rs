//! Indexing policies of Cosmos containers, and the paths that they are made of.
//!
//! Source: Azure Cosmos DB for NoSQL, "Indexing policies".

mod path;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

pub use path::{NotAPath, Pattern, PropertyPath, Sort, sorted_by};

/// The indexing policy of a container, as Azure gave it: what is not understood is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IndexingPolicy(Value);

impl IndexingPolicy {
    #[must_use]
    pub fn new(value: Value) -> Self {
        Self(value)
    }

    #[must_use]
    pub fn json(&self) -> &Value {
        &self.0
    }

    /// `consistent`, `lazy` or `none`.
    #[must_use]
    pub fn mode(&self) -> String {
        let mode = self.0["indexingMode"].as_str().unwrap_or("consistent");
        mode.to_ascii_lowercase()
    }

    /// Whether everything in it has the shape that Azure takes; else what has not.
    pub fn check(&self) -> Result<(), String> {
        if !self.0.is_object() {
            return Err("the policy is no object".into());
        }
        if !matches!(self.mode().as_str(), "consistent" | "lazy" | "none") {
            return Err(format!("indexingMode is `{}`", self.mode()));
        }
        for list in ["includedPaths", "excludedPaths"] {
            for entry in entries(&self.0, list) {
                let path = entry["path"]
                    .as_str()
                    .ok_or(format!("{list}: without a path"))?;
                path.parse::<Pattern>()
                    .map_err(|e| format!("{list}: {e}"))?;
            }
        }
        for composite in entries(&self.0, "compositeIndexes") {
            let parts = composite.as_array().filter(|parts| parts.len() > 1);
            let parts = parts.ok_or("compositeIndexes: one has fewer than two paths")?;
            for part in parts {
                let path = part["path"].as_str().unwrap_or_default();
                path.parse::<PropertyPath>()
                    .map_err(|e| format!("compositeIndexes: {e}"))?;
            }
        }
        Ok(())
    }

    #[must_use]
    pub fn included(&self) -> Vec<Pattern> {
        patterns(&self.0, "includedPaths")
    }

    #[must_use]
    pub fn excluded(&self) -> Vec<Pattern> {
        patterns(&self.0, "excludedPaths")
    }

    #[must_use]
    pub fn composites(&self) -> Vec<Vec<Sort>> {
        let of = |parts: &Value| {
            let parts = parts.as_array()?.iter();
            parts
                .map(|part| {
                    Some(Sort {
                        path: part["path"].as_str()?.parse().ok()?,
                        descending: part["order"]
                            .as_str()
                            .is_some_and(|order| order.eq_ignore_ascii_case("descending")),
                    })
                })
                .collect()
        };
        entries(&self.0, "compositeIndexes")
            .iter()
            .filter_map(of)
            .collect()
    }

    /// Where indexes of other kinds lie, such as those of places, vectors and full text.
    #[must_use]
    pub fn special(&self) -> Vec<PropertyPath> {
        const PLAIN: [&str; 3] = ["includedPaths", "excludedPaths", "compositeIndexes"];
        let lists = self.0.as_object().into_iter().flatten();
        lists
            .filter(|(name, _)| !PLAIN.contains(&name.as_str()))
            .flat_map(|(_, list)| list.as_array().into_iter().flatten())
            .filter_map(|entry| Some(entry["path"].as_str()?.parse::<Pattern>().ok()?.path))
            .collect()
    }

    /// Whether a value at `path` is indexed. Without a single path, everything is.
    #[must_use]
    pub fn indexes(&self, path: &PropertyPath) -> bool {
        if self.mode() == "none" {
            return false;
        }
        if path.is_always_indexed() {
            return true;
        }
        let (included, excluded) = (self.included(), self.excluded());
        if included.is_empty() && !excluded.iter().any(|pattern| pattern.path.is_root()) {
            return !excluded.iter().any(|pattern| pattern.covers(path));
        }
        let best = |patterns: &[Pattern]| {
            let fitting = patterns.iter().filter(|pattern| pattern.covers(path));
            fitting.map(Pattern::precision).max()
        };
        best(&included) > best(&excluded)
    }

    /// Includes what `pattern` names.
    pub fn include(&mut self, pattern: &Pattern) {
        // Azure takes no path twice.
        self.drop_from("excludedPaths", pattern);
        self.list("includedPaths")
            .push(json!({ "path": pattern.to_string() }));
    }

    /// Excludes what `pattern` names.
    pub fn exclude(&mut self, pattern: &Pattern) {
        self.drop_from("includedPaths", pattern);
        self.list("excludedPaths")
            .push(json!({ "path": pattern.to_string() }));
    }

    /// Takes `pattern` out of what is included.
    pub fn drop_included(&mut self, pattern: &Pattern) {
        self.drop_from("includedPaths", pattern);
    }

    pub fn add_composite(&mut self, parts: &[Sort]) {
        let order = |descending| {
            if descending {
                "descending"
            } else {
                "ascending"
            }
        };
        let parts: Vec<Value> = parts
            .iter()
            .map(|part| json!({ "path": part.path.to_string(), "order": order(part.descending) }))
            .collect();
        self.list("compositeIndexes").push(Value::Array(parts));
    }

    pub fn drop_composite(&mut self, parts: &[Sort]) {
        let all = self.composites();
        let list = self.list("compositeIndexes");
        // What is not understood is not in `all`, and then nothing is dropped.
        if list.len() == all.len() {
            let mut at = all.iter();
            list.retain(|_| at.next().is_none_or(|own| own[..] != *parts));
        }
    }

    fn list(&mut self, name: &str) -> &mut Vec<Value> {
        if !self.0.is_object() {
            self.0 = json!({});
        }
        if !self.0[name].is_array() {
            self.0[name] = json!([]);
        }
        self.0[name].as_array_mut().expect("it was made one")
    }

    fn drop_from(&mut self, name: &str, pattern: &Pattern) {
        let is = |entry: &Value| {
            entry["path"].as_str().and_then(|p| p.parse().ok()) == Some(pattern.clone())
        };
        self.list(name).retain(|entry| !is(entry));
    }

    /// Whether Azure does the same with both: it adds defaults, drops what is obsolete, and keeps no
    /// order.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.canonical() == other.canonical()
    }

    fn canonical(&self) -> Value {
        let mut rest = self.0.as_object().cloned().unwrap_or_default();
        let mut paths = |name: &str| {
            let mut all: BTreeMap<String, Value> = BTreeMap::new();
            for mut entry in rest.remove(name).and_then(as_list).unwrap_or_default() {
                // Kinds and precisions of an index mean nothing any more, but for those of places.
                let spatial = entries(&entry, "indexes")
                    .iter()
                    .any(|i| i["kind"] == "Spatial");
                if let Some(entry) = entry.as_object_mut().filter(|_| !spatial) {
                    entry.remove("indexes");
                }
                let text = entry["path"].as_str().unwrap_or_default();
                let text = text
                    .parse::<Pattern>()
                    .map_or(text.to_owned(), |p| p.to_string());
                entry["path"] = json!(text);
                all.insert(text, entry);
            }
            all
        };
        let (included, mut excluded) = (paths("includedPaths"), paths("excludedPaths"));
        // Azure adds it by itself.
        let etag = r#"/"_etag"/?"#;
        excluded
            .entry(etag.to_owned())
            .or_insert_with(|| json!({ "path": etag }));
        let composites: BTreeSet<String> = match entries(&self.0, "compositeIndexes") {
            known if known.len() == self.composites().len() => {
                let all = self.composites().into_iter();
                all.map(|parts| sorted_by(&parts)).collect()
            }
            unknown => unknown.iter().map(ToString::to_string).collect(),
        };
        for name in ["compositeIndexes", "automatic", "indexingMode"] {
            rest.remove(name);
        }
        let rest: Map<String, Value> = rest
            .into_iter()
            .filter(|(_, value)| !value.is_null() && value.as_array().is_none_or(|a| !a.is_empty()))
            .collect();
        json!({
            "automatic": self.0["automatic"].as_bool().unwrap_or(true),
            "mode": self.mode(),
            "included": included,
            "excluded": excluded,
            "composites": composites,
            "rest": rest,
        })
    }

    /// What is in `to` and not here, and the other way round, in one line.
    #[must_use]
    pub fn difference(&self, to: &Self) -> String {
        let mut out = Vec::new();
        let mut differ = |what: &str, from: Vec<String>, to: Vec<String>| {
            out.extend(
                to.iter()
                    .filter(|t| !from.contains(t))
                    .map(|t| format!("+ {what} {t}")),
            );
            out.extend(
                from.iter()
                    .filter(|f| !to.contains(f))
                    .map(|f| format!("- {what} {f}")),
            );
        };
        differ("mode", vec![self.mode()], vec![to.mode()]);
        let texts = |patterns: Vec<Pattern>| patterns.iter().map(ToString::to_string).collect();
        differ("included", texts(self.included()), texts(to.included()));
        differ("excluded", texts(self.excluded()), texts(to.excluded()));
        let composites = |policy: &Self| policy.composites().iter().map(|c| sorted_by(c)).collect();
        differ("composite", composites(self), composites(to));
        if out.is_empty() {
            let same = self.is_same(to);
            out.push(if same { "nothing" } else { "other settings" }.to_owned());
        }
        out.join(", ")
    }
}

impl fmt::Display for IndexingPolicy {
    /// In one line, for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts = |patterns: Vec<Pattern>| -> String {
            let texts: Vec<String> = patterns.iter().map(ToString::to_string).collect();
            texts.join(" ")
        };
        write!(
            f,
            "{}, included {}, excluded {}, {} composite indexes",
            self.mode(),
            texts(self.included()),
            texts(self.excluded()),
            self.composites().len()
        )
    }
}

fn as_list(value: Value) -> Option<Vec<Value>> {
    match value {
        Value::Array(list) => Some(list),
        _ => None,
    }
}

fn entries<'v>(of: &'v Value, name: &str) -> &'v [Value] {
    of[name].as_array().map_or(&[], Vec::as_slice)
}

fn patterns(of: &Value, name: &str) -> Vec<Pattern> {
    let texts = entries(of, name)
        .iter()
        .filter_map(|entry| entry["path"].as_str());
    texts.filter_map(|text| text.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(included: &[&str], excluded: &[&str]) -> IndexingPolicy {
        let list = |paths: &[&str]| {
            paths
                .iter()
                .map(|p| json!({ "path": p }))
                .collect::<Vec<_>>()
        };
        IndexingPolicy::new(json!({
            "indexingMode": "consistent",
            "automatic": true,
            "includedPaths": list(included),
            "excludedPaths": list(excluded),
        }))
    }

    #[test]
    fn the_more_precise_path_counts() {
        let all = policy(&["/*"], &["/\"_etag\"/?", "/content/*"]);
        let some = policy(&["/a/?", "/content/kind/?"], &["/*", "/content/*"]);
        let none = IndexingPolicy::new(json!({ "indexingMode": "none" }));
        let bare = IndexingPolicy::new(json!({}));
        for (name, policy, path, expected) in [
            ("everything", &all, "/a", true),
            ("but what is excluded", &all, "/content", false),
            ("and below it", &all, "/content/[]/text", false),
            ("nothing", &some, "/b", false),
            ("but what is included", &some, "/a", true),
            ("and nothing below it", &some, "/a/b", false),
            ("the longer path", &some, "/content/kind", true),
            ("what always is", &some, "/id", true),
            ("no index", &none, "/id", false),
            ("no paths", &bare, "/a", true),
        ] {
            let path: PropertyPath = path.parse().expect("a path");
            assert_eq!(policy.indexes(&path), expected, "{name}");
        }
    }

    #[test]
    fn what_azure_makes_of_a_policy_is_the_same_policy() {
        let own = IndexingPolicy::new(json!({
            "includedPaths": [{ "path": "/b/?" }, { "path": "/\"a\"/?" }],
            "excludedPaths": [{ "path": "/*" }],
            "compositeIndexes": [[{ "path": "/a" }, { "path": "/b", "order": "descending" }]],
            "vectorIndexes": [{ "path": "/v", "type": "diskANN" }],
        }));
        let theirs = IndexingPolicy::new(json!({
            "indexingMode": "Consistent",
            "automatic": true,
            "includedPaths": [
                { "path": "/a/?", "indexes": [{ "kind": "Range", "dataType": "String", "precision": -1 }] },
                { "path": "/b/?", "indexes": [] },
            ],
            "excludedPaths": [{ "path": "/\"_etag\"/?" }, { "path": "/*" }],
            "compositeIndexes": [[
                { "path": "/a", "order": "ascending" },
                { "path": "/b", "order": "descending" },
            ]],
            "spatialIndexes": [],
            "vectorIndexes": [{ "path": "/v", "type": "diskANN" }],
        }));
        assert!(own.is_same(&theirs));
        assert_eq!(own.special(), [PropertyPath::root().child("v")]);
        for changed in [
            json!({ "vectorIndexes": [] }),
            json!({ "automatic": false }),
            json!({ "indexingMode": "none" }),
            json!({ "includedPaths": [{ "path": "/a/?" }] }),
            json!({ "compositeIndexes": [] }),
        ] {
            let mut other = theirs.clone();
            for (name, value) in changed.as_object().expect("an object") {
                other.0[name] = value.clone();
            }
            assert!(!own.is_same(&other), "{changed}");
        }
    }

    #[test]
    fn an_edit_says_what_it_changes_and_keeps_the_rest() {
        let before = IndexingPolicy::new(json!({
            "indexingMode": "consistent",
            "includedPaths": [{ "path": "/*" }],
            "excludedPaths": [{ "path": "/a/?" }, { "path": "/c/*" }],
            "compositeIndexes": [[{ "path": "/x", "order": "ascending" }, { "path": "/y" }]],
            "later": { "kept": true },
        }));
        let mut after = before.clone();
        let sort = |path: &str, descending| Sort {
            path: path.parse().expect("a path"),
            descending,
        };
        after.include(&"/a/?".parse().expect("a path"));
        after.exclude(&"/text/*".parse().expect("a path"));
        after.add_composite(&[sort("/a", false), sort("/b", true)]);
        after.drop_composite(&[sort("/x", false), sort("/y", false)]);
        assert_eq!(
            before.difference(&after),
            "+ included /a/?, + excluded /text/*, - excluded /a/?, + composite (/a asc, /b desc), - composite (/x asc, /y asc)"
        );
        assert_eq!(after.json()["later"], json!({ "kept": true }));
        assert_eq!(after.check(), Ok(()));
        assert!(!before.is_same(&after));
    }

    #[test]
    fn what_azure_would_not_take_is_told() {
        for (policy, expected) in [
            (json!([]), "the policy is no object"),
            (json!({ "indexingMode": "fast" }), "indexingMode is `fast`"),
            (
                json!({ "includedPaths": [{}] }),
                "includedPaths: without a path",
            ),
            (
                json!({ "excludedPaths": [{ "path": "x" }] }),
                "excludedPaths: `x` is no path of an index",
            ),
            (
                json!({ "compositeIndexes": [[{ "path": "/a" }]] }),
                "compositeIndexes: one has fewer than two paths",
            ),
        ] {
            let told = IndexingPolicy::new(policy).check();
            assert_eq!(told, Err(expected.to_owned()));
        }
    }
}
