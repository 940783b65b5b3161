//! Tabular operators: what stands behind a `|`.

mod arrays;
mod nested;
mod reading;
mod series;

use super::Parser;
use crate::kql::error::{Error, Result};
use crate::kql::lexer::TokenKind;
use crate::kql::syntax::{
    Column, Expr, ExprKind, JoinKey, Name, NamedOption, Operator, OperatorKind, OutputSchema,
    Pattern, ReorderOrder,
};

/// Every operator, for the hint to one that is misspelt.
const OPERATORS: [&str; 60] = [
    "as",
    "assert-schema",
    "consume",
    "count",
    "distinct",
    "evaluate",
    "execute-and-cache",
    "extend",
    "facet",
    "filter",
    "find",
    "fork",
    "getschema",
    "graph-mark-components",
    "graph-match",
    "graph-shortest-paths",
    "graph-to-table",
    "graph-where-edges",
    "graph-where-nodes",
    "invoke",
    "join",
    "limit",
    "lookup",
    "macro-expand",
    "make-graph",
    "make-series",
    "mv-apply",
    "mv-expand",
    "mvapply",
    "mvexpand",
    "order",
    "parse",
    "parse-kv",
    "parse-where",
    "partition",
    "print",
    "project",
    "project-away",
    "project-by-names",
    "project-keep",
    "project-rename",
    "project-reorder",
    "range",
    "reduce",
    "render",
    "sample",
    "sample-distinct",
    "scan",
    "search",
    "serialize",
    "sort",
    "summarize",
    "take",
    "top",
    "top-hitters",
    "top-nested",
    "union",
    "where",
    "__partitionby",
    "__executeAndCache",
];

const JOIN_OPTIONS: [&str; 1] = ["kind"];

impl Parser<'_> {
    pub(super) fn operator(&mut self) -> Result<Operator> {
        let start = self.peek().span;
        let Some(word) = self.word_ahead(0) else {
            return Err(self.expected("an operator"));
        };
        self.enter()?;
        let kind = self.operator_kind(word)?;
        self.leave();
        Ok(Operator {
            kind,
            span: self.since(start),
        })
    }

    // A frame of a debug build holds the values of all branches, and pipes nest: one function for each group.
    fn operator_kind(&mut self, word: &str) -> Result<OperatorKind> {
        let span = self.peek().span;
        self.advance();
        match word {
            "where" | "filter" => self.condition(),
            "extend" | "project" | "serialize" | "distinct" => self.columns_operator(word),
            "project-away" | "project-keep" | "project-rename" | "project-reorder"
            | "project-by-names" => self.projection(word),
            "summarize" => self.summarize(),
            "count" | "sort" | "order" | "take" | "limit" | "top" => self.rows(word),
            "top-nested" => self.top_nested(),
            "top-hitters" | "sample" | "sample-distinct" => self.sampling(word),
            "join" => self.join(),
            "lookup" => self.lookup(),
            "union" => self.union_operator(),
            "mv-expand" | "mvexpand" => self.mv_expand(word, span),
            "mv-apply" | "mvapply" => self.mv_apply(),
            "parse" => self.parse_operator(word, false),
            "parse-where" => self.parse_operator(word, true),
            "parse-kv" => self.parse_kv(),
            "make-series" => self.make_series(),
            "render" => self.render(),
            "getschema" => Ok(OperatorKind::GetSchema),
            "as" | "consume" | "assert-schema" => self.plain(word),
            "invoke" => self.invoke(),
            "evaluate" => self.evaluate(),
            "search" => self.search_operator(),
            "find" => self.find(),
            "facet" => self.facet(),
            "fork" => self.fork(),
            "partition" => self.partition(),
            "scan" => self.scan(),
            "reduce" => self.reduce(),
            "print" | "range" => Err(Error::syntax(
                span,
                format!("`{word}` starts a query and has nothing before it"),
            )),
            _ if OPERATORS.contains(&word) => self.other(word),
            _ => Err(
                Error::syntax(span, format!("no operator `{word}`")).nearest(
                    word,
                    OPERATORS.into_iter().filter(|name| !name.starts_with("__")),
                ),
            ),
        }
    }

    fn columns_operator(&mut self, word: &str) -> Result<OperatorKind> {
        Ok(match word {
            "extend" => OperatorKind::Extend(self.columns()?),
            "project" => OperatorKind::Project(self.columns_or_none()?),
            "serialize" => OperatorKind::Serialize(self.columns_or_none()?),
            _ => {
                // Hints change how an answer is found, never the answer.
                self.options(&[])?;
                OperatorKind::Distinct(self.comma_list(Self::distinct_column)?)
            }
        })
    }

    fn projection(&mut self, word: &str) -> Result<OperatorKind> {
        Ok(match word {
            "project-away" => OperatorKind::ProjectAway(self.comma_list(Self::pattern)?),
            "project-keep" => OperatorKind::ProjectKeep(self.comma_list(Self::pattern)?),
            "project-rename" => OperatorKind::ProjectRename(self.comma_list(Self::rename)?),
            "project-reorder" => OperatorKind::ProjectReorder(self.comma_list(Self::reorder)?),
            _ => OperatorKind::ProjectByNames(self.comma_list(Self::expr)?),
        })
    }

    fn rows(&mut self, word: &str) -> Result<OperatorKind> {
        Ok(match word {
            "count" => OperatorKind::Count {
                name: if self.eat_word("as") {
                    Some(self.extended_name()?)
                } else {
                    None
                },
            },
            "take" | "limit" => OperatorKind::Take(self.expr()?),
            "top" => {
                self.options(&[])?;
                let count = self.expr()?;
                self.expect_word("by")?;
                let by = vec![self.sort_key()?];
                OperatorKind::Top { count, by }
            }
            _ => {
                let options = self.options(&[])?;
                self.expect_word("by")?;
                let by = self.comma_list(Self::sort_key)?;
                OperatorKind::Sort { options, by }
            }
        })
    }

    fn sampling(&mut self, word: &str) -> Result<OperatorKind> {
        let count = self.expr()?;
        if word == "sample" {
            return Ok(OperatorKind::Sample(count));
        }
        self.expect_word("of")?;
        let of = self.expr()?;
        if word == "sample-distinct" {
            return Ok(OperatorKind::SampleDistinct { count, of });
        }
        let by = if self.eat_word("by") {
            Some(self.expr()?)
        } else {
            None
        };
        Ok(OperatorKind::TopHitters { count, of, by })
    }

    fn join(&mut self) -> Result<OperatorKind> {
        let options = self.only_options("join", &JOIN_OPTIONS)?;
        let right = Box::new(self.expr()?);
        let on = self.join_keys("join")?;
        Ok(OperatorKind::Join { options, right, on })
    }

    fn lookup(&mut self) -> Result<OperatorKind> {
        let options = self.only_options("lookup", &JOIN_OPTIONS)?;
        let right = Box::new(self.expr()?);
        if !self.at_word("on") {
            return Err(self.expected("`on`"));
        }
        let on = self.join_keys("lookup")?;
        Ok(OperatorKind::Lookup { options, right, on })
    }

    fn union_operator(&mut self) -> Result<OperatorKind> {
        let (options, tables) = self.union()?;
        Ok(OperatorKind::Union { options, tables })
    }

    fn search_operator(&mut self) -> Result<OperatorKind> {
        Ok(OperatorKind::Search(Box::new(self.search()?)))
    }

    fn plain(&mut self, word: &str) -> Result<OperatorKind> {
        Ok(match word {
            "as" => {
                let options = self.only_options(word, &[])?;
                let name = self.extended_name()?;
                OperatorKind::As { options, name }
            }
            "consume" => {
                self.options(&["decodeblocks"])?;
                OperatorKind::Consume
            }
            _ => OperatorKind::AssertSchema(self.schema()?),
        })
    }

    fn invoke(&mut self) -> Result<OperatorKind> {
        let function = self.name()?;
        let args = self.args()?;
        if self.at(".") {
            return Err(Error::not_implemented(
                self.peek().span,
                "`invoke` of a function elsewhere",
            ));
        }
        Ok(OperatorKind::Invoke { function, args })
    }

    /// Operators that are named and refused later.
    fn other(&mut self, word: &str) -> Result<OperatorKind> {
        self.skip_balanced(&["|", ";"])?;
        Ok(OperatorKind::Other {
            keyword: word.to_owned(),
        })
    }

    fn condition(&mut self) -> Result<OperatorKind> {
        let column = self.column()?;
        if let Some(name) = column.names.first() {
            // Kusto's grammar has it; what it means there is documented nowhere.
            let error = Error::not_implemented(name.span, "a name for the condition of `where`")
                .hint("did you mean `==` for `=`?");
            self.doubt.get_or_insert(error);
        }
        Ok(OperatorKind::Where(column.value))
    }

    fn columns_or_none(&mut self) -> Result<Vec<Column>> {
        if self.at_operator_end() {
            return Ok(Vec::new());
        }
        self.columns()
    }

    fn distinct_column(&mut self) -> Result<Column> {
        if !self.at("*") {
            return self.column();
        }
        let span = self.expect("*")?;
        Ok(Column {
            names: Vec::new(),
            value: Expr {
                kind: ExprKind::Star,
                span,
            },
        })
    }

    fn rename(&mut self) -> Result<(Name, Name)> {
        let new = self.extended_name()?;
        self.expect("=")?;
        Ok((new, self.name()?))
    }

    fn reorder(&mut self) -> Result<(Pattern, Option<ReorderOrder>)> {
        let pattern = self.pattern()?;
        let order = match self.word_ahead(0) {
            Some("asc") => Some(ReorderOrder::Asc),
            Some("desc") => Some(ReorderOrder::Desc),
            Some("granny-asc") => Some(ReorderOrder::GrannyAsc),
            Some("granny-desc") => Some(ReorderOrder::GrannyDesc),
            _ => None,
        };
        if order.is_some() {
            self.advance();
        }
        Ok((pattern, order))
    }

    fn summarize(&mut self) -> Result<OperatorKind> {
        let options = self.options(&[])?;
        let aggregates = if self.at_operator_end() || self.at_word("by") {
            Vec::new()
        } else {
            self.columns()?
        };
        let by = if self.eat_word("by") {
            self.columns()?
        } else {
            Vec::new()
        };
        // An old form, `by a bin=1h`, which bins a column that it does not name.
        let named = by.iter().find(|column| {
            let literal = matches!(column.value.kind, ExprKind::Literal(_));
            literal && column.names.first().is_some_and(|name| name.text == "bin")
        });
        let old = match named {
            Some(column) => Some(column.value.span),
            None if self.at_word("bin") => Some(self.peek().span),
            None => None,
        };
        if let Some(span) = old {
            return Err(Error::not_implemented(span, "`bin=` of `summarize`"));
        }
        Ok(OperatorKind::Summarize {
            options,
            aggregates,
            by,
        })
    }

    /// `on a, $left.b == $right.c`; `where` in its place is refused.
    fn join_keys(&mut self, operator: &str) -> Result<Vec<JoinKey>> {
        if self.at_word("where") {
            return Err(Error::not_implemented(
                self.peek().span,
                format!("`where` of `{operator}`"),
            ));
        }
        if !self.eat_word("on") {
            return Ok(Vec::new());
        }
        self.comma_list(|parser| {
            let value = parser.expr()?;
            Ok(match value.kind {
                ExprKind::Name(text) => JoinKey::Name(Name {
                    text,
                    span: value.span,
                }),
                _ => JoinKey::Expr(value),
            })
        })
    }

    fn render(&mut self) -> Result<OperatorKind> {
        if self.peek().kind != TokenKind::Word {
            return Err(self.expected("the kind of a chart"));
        }
        let kind = self.name_here();
        let mut options = Vec::new();
        if self.eat_word("with") {
            options = self.properties()?;
        } else {
            while !self.at_operator_end() {
                if self.at_word("by") && !self.sign_ahead(1, "=") {
                    // The old form `render timechart by a, b`.
                    let name = self.name_here();
                    let start = self.peek().span;
                    let names = self.comma_list(Self::option_value)?;
                    options.push(NamedOption {
                        name,
                        value: Expr {
                            kind: ExprKind::List(names),
                            span: self.since(start),
                        },
                    });
                    continue;
                }
                options.push(self.property()?);
            }
        }
        Ok(OperatorKind::Render { kind, options })
    }

    fn evaluate(&mut self) -> Result<OperatorKind> {
        let options = self.options(&[])?;
        let function = self.name()?;
        let args = self.args()?;
        let schema = if self.eat(":") {
            self.expect("(")?;
            self.eat(",");
            let star = self.eat("*");
            if star && !self.at(")") {
                self.expect(",")?;
            }
            let columns = self.columns_to_close()?;
            Some(OutputSchema { star, columns })
        } else {
            None
        };
        Ok(OperatorKind::Evaluate {
            options,
            function,
            args,
            schema,
        })
    }
}
