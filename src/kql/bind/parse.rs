//! `parse`, `parse-where` and `parse-kv`.

use std::sync::Arc;

use regex::Regex;

use super::super::error::{Error, Result, Span};
use super::super::exec::parse::{Origin, Parse};
use super::super::exec::parse_kv::{Form, ParseKv, Quoting};
use super::super::plan::{Node, Plan, Stage};
use super::super::syntax::{self, ExprKind, Literal, Name, NamedOption, ParsePart};
use super::super::types::{Field, Schema, Type};
use super::join::option;
use super::{Binder, Scope};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Simple,
    Relaxed,
    Regex,
}

impl Binder<'_> {
    pub(super) fn parse(
        &mut self,
        input: Plan,
        options: &[NamedOption],
        source: &syntax::Expr,
        parts: &[ParsePart],
        filter: bool,
        scope: &Scope,
    ) -> Result<Plan> {
        let kind = match option(options, "kind")? {
            None => Kind::Simple,
            Some((kind, at)) => match kind.as_str() {
                "simple" => Kind::Simple,
                "relaxed" => Kind::Relaxed,
                "regex" => Kind::Regex,
                other => {
                    return Err(Error::semantic(
                        at,
                        format!("no parse is of kind `{other}`"),
                    ));
                }
            },
        };
        let mut flags = String::new();
        if let Some((given, at)) = option(options, "flags")? {
            if kind != Kind::Regex {
                return Err(Error::semantic(at, "flags go with `kind=regex` only"));
            }
            if let Some(other) = given.chars().find(|flag| !"imsU".contains(*flag)) {
                return Err(Error::not_implemented(
                    at,
                    format!("flag `{other}` of `parse`"),
                ));
            }
            flags = given;
        }
        let source_span = source.span;
        let source = self.row_expr(source, &input, scope)?.cast(Type::String);
        let mut captures: Vec<(&Name, Type)> = Vec::new();
        for (at, part) in parts.iter().enumerate() {
            let ParsePart::Capture { name, ty } = part else {
                continue;
            };
            let ty = ty.unwrap_or(Type::String);
            if captures.iter().any(|(taken, _)| taken.text == name.text) {
                let message = format!("a column `{}` is already there", name.text);
                return Err(Error::semantic(name.span, message));
            }
            if ty == Type::String && matches!(parts.get(at + 1), Some(ParsePart::Star)) {
                return Err(Error::semantic(
                    name.span,
                    "`*` may not follow a string column: where the column ends is not said",
                ));
            }
            captures.push((name, ty));
        }
        let pattern = pattern(parts, kind, &flags);
        let regex = Regex::new(&pattern).map_err(|error| {
            Error::semantic(
                source_span,
                format!("the pattern is no regular expression: {error}"),
            )
        })?;
        let (schema, output) = extended(&input.schema, &captures);
        let captures = captures.iter().enumerate();
        let stage = Parse {
            source,
            regex,
            captures: captures.map(|(at, (_, ty))| (group(at), *ty)).collect(),
            relaxed: kind == Kind::Relaxed,
            filter,
            output,
        };
        Ok(staged(input, schema, stage))
    }

    pub(super) fn parse_kv(
        &mut self,
        input: Plan,
        source: &syntax::Expr,
        columns: &[(Name, Type)],
        options: &[NamedOption],
        span: Span,
        scope: &Scope,
    ) -> Result<Plan> {
        let source = self.row_expr(source, &input, scope)?.cast(Type::String);
        super::table::declared(columns)?;
        let captures: Vec<(&Name, Type)> = columns.iter().map(|(name, ty)| (name, *ty)).collect();
        let (schema, output) = extended(&input.schema, &captures);
        let stage = ParseKv {
            source,
            keys: columns
                .iter()
                .map(|(name, ty)| (name.text.clone(), *ty))
                .collect(),
            form: self.form(options, span, scope)?,
            output,
        };
        Ok(staged(input, schema, stage))
    }

    fn form(&mut self, options: &[NamedOption], span: Span, scope: &Scope) -> Result<Form> {
        let (mut pair, mut kv, mut regex, mut greedy) = (None, None, None, false);
        let mut quoting = Quoting::default();
        for NamedOption { name, value } in options {
            if name.text == "greedy" {
                let ExprKind::Literal(Literal::Bool(given)) = value.kind else {
                    return Err(Error::semantic(value.span, "`greedy` is true or false"));
                };
                greedy = given;
                continue;
            }
            let text = self.scalar(value, scope)?;
            let Some(text) = text.as_const().filter(|_| text.ty == Type::String) else {
                return Err(Error::semantic(value.span, "this must be constant text"));
            };
            let text = text.text();
            let chars: Vec<char> = text.chars().collect();
            match name.text.as_str() {
                "pair_delimiter" if !text.is_empty() => pair = Some(text.to_owned()),
                "kv_delimiter" if !text.is_empty() => kv = Some(text.to_owned()),
                "pair_delimiter" | "kv_delimiter" => {
                    return Err(Error::semantic(value.span, "a delimiter may not be empty"));
                }
                "quote" => match chars.as_slice() {
                    [one] => quoting.quotes.push((*one, *one)),
                    [open, close] => quoting.quotes.push((*open, *close)),
                    _ => {
                        return Err(Error::semantic(
                            value.span,
                            "quotes are one or two characters",
                        ));
                    }
                },
                "escape" => match chars.as_slice() {
                    [one] => quoting.escapes.push(*one),
                    _ => return Err(Error::semantic(value.span, "an escape is one character")),
                },
                "regex" => {
                    let made = Regex::new(text).map_err(|error| {
                        Error::semantic(value.span, format!("no regular expression: {error}"))
                    })?;
                    if made.captures_len() != 3 {
                        let message = "the expression needs two groups: the key and the value";
                        return Err(Error::semantic(value.span, message));
                    }
                    regex = Some(made);
                }
                other => {
                    let message = format!("option `{other}` of `parse-kv`");
                    return Err(Error::not_implemented(name.span, message));
                }
            }
        }
        let quoted = !quoting.quotes.is_empty() || !quoting.escapes.is_empty();
        match (regex, pair, kv) {
            (Some(regex), None, None) if !quoted && !greedy => Ok(Form::Regex(regex)),
            (None, Some(pair), Some(kv)) => Ok(Form::Delimited {
                pair,
                kv,
                quoting,
                greedy,
            }),
            (None, None, None) if !greedy => Ok(Form::Words(quoting)),
            _ => Err(Error::semantic(
                span,
                "`parse-kv` takes both delimiters, or neither, or `regex` alone",
            )),
        }
    }
}

/// The name of the group of a capture; groups in a writer's own expressions have none of ours.
fn group(at: usize) -> String {
    format!("capture{at}")
}

/// The parts as one expression over the whole text.
///
/// In plain kinds `*` and texts end at the nearest place where the rest fits; in `regex` a text
/// takes as much as it can, unless the flag `U` turns that around.
fn pattern(parts: &[ParsePart], kind: Kind, flags: &str) -> String {
    let mut pattern = match kind {
        Kind::Regex if flags.is_empty() => String::new(),
        Kind::Regex => format!("(?{flags})"),
        _ => "(?s)".to_owned(),
    };
    pattern.push_str(r"\A");
    let mut at = 0;
    for (place, part) in parts.iter().enumerate() {
        match part {
            ParsePart::Star => pattern.push_str(".*?"),
            ParsePart::Text(text, _) if kind == Kind::Regex => {
                pattern.push_str(&format!("(?:{text})"));
            }
            ParsePart::Text(text, _) => pattern.push_str(&regex::escape(text)),
            ParsePart::Capture { ty, .. } => {
                let open = !matches!(parts.get(place + 1), Some(ParsePart::Star));
                let ty = ty.unwrap_or(Type::String);
                let inner = match (ty, kind) {
                    (Type::String, Kind::Regex) => ".*".to_owned(),
                    (Type::String, _) => ".*?".to_owned(),
                    (_, Kind::Relaxed) if open => ".*?".to_owned(),
                    (_, Kind::Relaxed) => format!("(?:{})?", shape(ty, open)),
                    _ => shape(ty, open).to_owned(),
                };
                pattern.push_str(&format!("(?P<{}>{inner})", group(at)));
                at += 1;
            }
        }
    }
    pattern.push_str(r"\z");
    pattern
}

/// How a value of a type is written. `open` when what follows tells where it ends.
fn shape(ty: Type, open: bool) -> &'static str {
    match ty {
        Type::Int | Type::Long => r"-?\d+",
        Type::Real | Type::Decimal => r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?",
        _ if open => ".*?",
        Type::Bool => "(?i:true|false|0|1)",
        Type::DateTime => r"\d[\d/T:.-]*(?: \d[\d:.]*)?(?: ?[AaPp][Mm])?(?:Z|[-+]\d\d:?\d\d)?",
        Type::TimeSpan => r"-?\d[\d:.]*[a-z]*",
        Type::Guid => r"\{?[0-9A-Fa-f-]{32,36}\}?",
        Type::Dynamic | Type::String => ".*?",
    }
}

/// The columns with the captures: in the place of a column of the same name, or behind.
fn extended(schema: &Schema, captures: &[(&Name, Type)]) -> (Schema, Vec<Origin>) {
    let mut made = schema.clone();
    let mut output: Vec<Origin> = (0..schema.len()).map(Origin::Column).collect();
    for (at, (name, ty)) in captures.iter().enumerate() {
        match made.index(&name.text) {
            Some(place) => {
                made.fields[place].ty = *ty;
                output[place] = Origin::Capture(at);
            }
            None => {
                made.fields.push(Field::new(name.text.clone(), *ty));
                output.push(Origin::Capture(at));
            }
        }
    }
    (made, output)
}

pub(super) fn staged(input: Plan, schema: Schema, stage: impl Stage + 'static) -> Plan {
    let ordered = input.ordered;
    Plan {
        schema,
        ordered,
        node: Node::Stream {
            input: Arc::new(input),
            stage: Arc::new(stage),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::super::answer;

    #[test]
    fn texts_become_columns() {
        for (name, text, expected) in [
            (
                "what does not fit is null",
                r#"datatable(s:string)["a=1;b=2","a=x;b=3"] | parse s with "a=" a:long ";b=" b:long"#,
                r#"s:string,a:long,b:long | ["a=1;b=2",1,2] ["a=x;b=3",null,null]"#,
            ),
            (
                "relaxed keeps the rest",
                r#"datatable(s:string)["a=x;b=3","z"] | parse kind=relaxed s with "a=" a:long ";b=" b:long"#,
                r#"s:string,a:long,b:long | ["a=x;b=3",null,3] ["z",null,null]"#,
            ),
            (
                "where leaves rows out, a capture replaces",
                r#"datatable(s:string)["a=1;b=2","z"] | parse-where s with "a=" s ";b=" b:long"#,
                r#"s:string,b:long | ["1",2]"#,
            ),
            (
                "stars skip lines",
                r#"print s="x\ny=5 z" | parse s with * "y=" y:long *"#,
                r#"s:string,y:long | ["x\ny=5 z",5]"#,
            ),
            (
                "expressions are greedy",
                r#"print s="k=a,b,c" | parse kind=regex s with "k=" a "," b | project a, b"#,
                r#"a:string,b:string | ["a,b","c"]"#,
            ),
            (
                "unless told",
                r#"print s="K=a,b,c" | parse kind=regex flags=Ui s with "k=" a "," b | project a, b"#,
                r#"a:string,b:string | ["a","b,c"]"#,
            ),
            (
                "a star after a text",
                r#"print s="a" | parse s with "a" b *"#,
                "`*` may not follow a string column: where the column ends is not said",
            ),
            (
                "pairs",
                r#"print s="a:1, b:'x, y', a:2" | parse-kv s as (a:long, b:string, c:string) with (pair_delimiter=",", kv_delimiter=":", quote="'") | project-away s"#,
                r#"a:long,b:string,c:string | [1,"x, y",""]"#,
            ),
            (
                "greedy values",
                r#"print s="n=John Doe c=New York" | parse-kv s as (n:string, c:string) with (pair_delimiter=" ", kv_delimiter="=", greedy=true) | project-away s"#,
                r#"n:string,c:string | ["John Doe","New York"]"#,
            ),
            (
                "words",
                r#"print s="[INFO] Id:45, Text: 'a b'" | parse-kv s as (Id:long, Text:string) with (quote="'") | project-away s"#,
                r#"Id:long,Text:string | [45,"a b"]"#,
            ),
            (
                "expression",
                r#"print s="<a|1><b|2>" | parse-kv s as (a:long, b:long) with (regex=@"<(\w+)\|(\d+)>") | project-away s"#,
                "a:long,b:long | [1,2]",
            ),
        ] {
            assert_eq!(answer(text), expected, "{name}");
        }
    }
}
