//! The head of a query file, as its comments have it:
//!
//! ```text
//! // purpose: one or two sentences,
//! //   on as many lines as they take
//! // tables: AppRequests, AppTraces
//! // section: 4.1.1
//! // corrections: Q2, Q3
//! // parameter window_: timespan [time] length of the window
//! // column Requests: long [requests] how many
//! // parameters begin
//! let window_ = 5m;
//! // parameters end
//! ```

use super::ParamType;

/// What a query says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    pub purpose: String,
    /// Tables it reads, sorted.
    pub tables: Vec<String>,
    /// Sections of the specification that it serves.
    pub sections: Vec<String>,
    /// Corrections of the specification that shaped it.
    pub corrections: Vec<String>,
    /// In the order of their `let` lines.
    pub params: Vec<ParamInfo>,
    /// In the order of the answer.
    pub columns: Vec<Column>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParamInfo {
    pub name: String,
    pub ty: ParamType,
    pub unit: String,
    pub meaning: String,
    /// The literal that stands in the file.
    pub default: String,
}

/// A column of the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    /// A scalar type of Kusto.
    pub ty: String,
    /// A unit, or the column that holds it.
    pub unit: String,
    pub meaning: String,
}

/// A query file, cut where its parameters begin and end.
pub(super) struct Parts<'a> {
    pub(super) head: &'a str,
    /// The lines between the two marks.
    pub(super) lets: &'a str,
    pub(super) body: &'a str,
}

pub(super) const BEGIN: &str = "// parameters begin\n";
pub(super) const END: &str = "// parameters end\n";

pub(super) fn parts(source: &str) -> Result<Parts<'_>, String> {
    let (head, rest) = source
        .split_once(BEGIN)
        .ok_or("does not say where parameters begin")?;
    let (lets, body) = rest
        .split_once(END)
        .ok_or("does not say where parameters end")?;
    Ok(Parts { head, lets, body })
}

/// `name` and literal of each `let` line.
pub(super) fn lets(block: &str) -> Result<Vec<(&str, &str)>, String> {
    block
        .lines()
        .map(|line| {
            line.strip_prefix("let ")
                .and_then(|line| line.strip_suffix(';'))
                .and_then(|line| line.split_once(" = "))
                .ok_or_else(|| format!("`{line}` is no parameter"))
        })
        .collect()
}

pub(super) fn parse(source: &str) -> Result<Header, String> {
    let parts = parts(source)?;
    let mut fields: Vec<(&str, String)> = Vec::new();
    for line in parts.head.lines() {
        let line = line
            .strip_prefix("// ")
            .ok_or_else(|| format!("`{line}` is no comment"))?;
        if let Some(more) = line.strip_prefix("  ") {
            let (_, text) = fields.last_mut().ok_or("begins in mid-sentence")?;
            text.push(' ');
            text.push_str(more);
        } else {
            let (key, text) = line
                .split_once(": ")
                .ok_or_else(|| format!("`{line}` is no field"))?;
            fields.push((key, text.to_owned()));
        }
    }
    let one = |key: &str| {
        let mut found = fields.iter().filter(|(name, _)| *name == key);
        match (found.next(), found.next()) {
            (Some((_, text)), None) => Ok(text.clone()),
            (None, _) => Err(format!("has no `{key}`")),
            _ => Err(format!("has more than one `{key}`")),
        }
    };
    let list = |key: &str| -> Result<Vec<String>, String> {
        Ok(one(key)?.split(", ").map(str::to_owned).collect())
    };
    let defaults = lets(parts.lets)?;
    let mut params = Vec::new();
    let mut columns = Vec::new();
    for (key, text) in &fields {
        if let Some(name) = key.strip_prefix("parameter ") {
            let (ty, unit, meaning) = described(text)?;
            let ty = ParamType::from_name(ty).ok_or_else(|| format!("`{ty}` is no type"))?;
            let (_, default) = defaults
                .get(params.len())
                .filter(|(found, _)| *found == name)
                .ok_or_else(|| format!("parameter `{name}` has no `let` in its place"))?;
            params.push(ParamInfo {
                name: name.to_owned(),
                ty,
                unit,
                meaning,
                default: (*default).to_owned(),
            });
        } else if let Some(name) = key.strip_prefix("column ") {
            let (ty, unit, meaning) = described(text)?;
            columns.push(Column {
                name: name.to_owned(),
                ty: ty.to_owned(),
                unit,
                meaning,
            });
        } else if !matches!(*key, "purpose" | "tables" | "section" | "corrections") {
            return Err(format!("`{key}` is no field"));
        }
    }
    if let Some((name, _)) = defaults.get(params.len()) {
        return Err(format!("`let {name}` is no parameter of the header"));
    }
    if columns.is_empty() {
        return Err("has no columns".into());
    }
    Ok(Header {
        purpose: one("purpose")?,
        tables: list("tables")?,
        sections: list("section")?,
        corrections: list("corrections")?,
        params,
        columns,
    })
}

/// `type [unit] meaning`
fn described(text: &str) -> Result<(&str, String, String), String> {
    let wrong = || format!("`{text}` is not `type [unit] meaning`");
    let (ty, rest) = text.split_once(" [").ok_or_else(wrong)?;
    let (unit, meaning) = rest.split_once("] ").ok_or_else(wrong)?;
    Ok((ty, unit.to_owned(), meaning.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_that_do_not_fit_are_refused() {
        let good = "// purpose: to\n//   try\n// tables: T\n// section: 1\n// corrections: Q1, Q2\n\
            // parameter a_: long [rows] how many\n// column X: long [-] what\n\
            // parameters begin\nlet a_ = 1;\n// parameters end\nT\n";
        let header = parse(good).expect("a header");
        assert_eq!(header.purpose, "to try");
        assert_eq!(header.corrections, ["Q1", "Q2"]);
        assert_eq!(header.params[0].default, "1");
        let cases = [
            (
                "let a_ = 1;",
                "let b_ = 1;",
                "parameter `a_` has no `let` in its place",
            ),
            (
                "let a_ = 1;\n",
                "let a_ = 1;\nlet b_ = 1;\n",
                "`let b_` is no parameter of the header",
            ),
            ("long [rows]", "number [rows]", "`number` is no type"),
            (
                "[-] what",
                "what",
                "`long what` is not `type [unit] meaning`",
            ),
            ("// tables: T\n", "", "has no `tables`"),
            (
                "// tables: T\n",
                "// tables: T\n// tables: T\n",
                "has more than one `tables`",
            ),
            ("// section", "// sect", "`sect` is no field"),
            (
                "// parameters end",
                "// end",
                "does not say where parameters end",
            ),
            (
                "let a_ = 1;",
                "let a_ := 1;",
                "`let a_ := 1;` is no parameter",
            ),
        ];
        for (from, to, message) in cases {
            let text = good.replacen(from, to, 1);
            assert_eq!(parse(&text).expect_err(message), message);
        }
    }
}
