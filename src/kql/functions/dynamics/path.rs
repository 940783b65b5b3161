//! Paths such as `$.a.b[0]['c']`.

use crate::kql::json::{Json, cast};
use crate::kql::types::Type;
use crate::kql::value::Value;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Key(String),
    /// From the end when negative.
    Index(i64),
}

/// Reads a path; `None` for wildcards, descents, filters and whatever else leads to no one place.
pub(super) fn path_of(text: &str) -> Option<Vec<Step>> {
    let mut rest = text.strip_prefix('$')?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('.') {
            let end = after.find(['.', '[']).unwrap_or(after.len());
            let key = &after[..end];
            if key.is_empty() || key == "*" {
                return None;
            }
            steps.push(Step::Key(key.to_owned()));
            rest = &after[end..];
        } else {
            let after = rest.strip_prefix('[')?;
            if let Some(quote) = after.chars().next().filter(|c| matches!(c, '\'' | '"')) {
                let (key, after) = after[1..].split_once(quote)?;
                steps.push(Step::Key(key.to_owned()));
                rest = after.strip_prefix(']')?;
            } else {
                let (index, after) = after.split_once(']')?;
                steps.push(Step::Index(index.trim().parse().ok()?));
                rest = after;
            }
        }
    }
    Some(steps)
}

pub(super) fn path_check(args: &[Option<Value<'static>>]) -> Result<(), String> {
    match args.first() {
        Some(Some(path)) if path_of(path.text()).is_none() => Err(format!(
            "the path `{}` is not supported: keys and indexes after a `$` are",
            path.text()
        )),
        _ => Ok(()),
    }
}

fn follow<'a>(root: &'a Json, path: &[Step]) -> Option<&'a Json> {
    path.iter().try_fold(root, |at, step| match step {
        Step::Key(key) => at.get(key),
        Step::Index(index) => {
            let items = at.as_array()?;
            let count = i64::try_from(items.len()).ok()?;
            let index = if *index < 0 { index + count } else { *index };
            items.get(usize::try_from(index).ok()?)
        }
    })
}

pub(super) fn extract_json<'a>(args: &[Value<'a>]) -> Value<'a> {
    let ty = args
        .get(2)
        .map_or(Some(Type::String), |ty| Type::from_name(ty.text()));
    let root = Json::parse(args[1].text());
    let found = match (&root, path_of(args[0].text())) {
        (Some(root), Some(path)) => follow(root, &path),
        _ => None,
    };
    match (found, ty) {
        (Some(found), Some(ty)) => cast(&found.to_string(), ty).into_owned(),
        (None, Some(Type::String)) => Value::string(""),
        _ => Value::Null,
    }
}

/// All elements of an array share the place `[0]`.
pub(super) fn tree_path<'a>(args: &[Value<'a>]) -> Value<'a> {
    let Some(root @ Json::Bag(_)) = Json::parse(args[0].text()) else {
        return Value::Null;
    };
    let mut paths = Vec::new();
    walk(&root, "", &mut paths);
    Json::Array(paths.into_iter().map(Json::String).collect()).into_value()
}

fn walk(at: &Json, prefix: &str, paths: &mut Vec<String>) {
    let mut visit = |path: String, inner: &Json| {
        if !paths.contains(&path) {
            paths.push(path.clone());
        }
        walk(inner, &path, paths);
    };
    match at {
        Json::Bag(members) => {
            for (key, inner) in members {
                visit(format!("{prefix}['{key}']"), inner);
            }
        }
        Json::Array(items) => {
            for inner in items {
                visit(format!("{prefix}[0]"), inner);
            }
        }
        _ => {}
    }
}
