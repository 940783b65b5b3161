//! The syntax tree: what the text says, before any name or type is looked at.

use super::error::Span;
use super::types::Type;

/// A name as written, without the brackets of `['a name']`.
#[derive(Debug, Clone, PartialEq)]
pub struct Name {
    pub text: String,
    pub span: Span,
}

/// A whole query: statements, of which the last expression is the answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    pub statements: Vec<Statement>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Statement {
    /// `let name = value`
    Let { name: Name, value: LetValue },
    /// `set option = value` and `set option`
    Set { name: Name, value: Option<Expr> },
    /// `declare query_parameters (name: type = default, ...)`
    Parameters(Vec<Param>),
    /// Statements that the engine names and refuses: `alias`, `pattern`, `restrict`.
    Other { keyword: Name },
    /// An expression, tabular or scalar: `T | where x` is `Expr::Pipe`.
    Expr(Expr),
}

#[derive(Debug, Clone, PartialEq)]
pub enum LetValue {
    /// A scalar or a tabular expression: which, the binder tells.
    Expr(Expr),
    /// `(params) { body }`, also `view () { body }`.
    Function(Function),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Function {
    pub view: bool,
    pub params: Vec<Param>,
    pub body: Query,
    pub span: Span,
}

/// A parameter of a function or of the query.
#[derive(Debug, Clone, PartialEq)]
pub struct Param {
    pub name: Name,
    pub kind: ParamKind,
    pub default: Option<Expr>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum ParamKind {
    Scalar(Type),
    /// `T: (a: long, b: string)`; `T: (*)` has no columns and takes any table.
    Table {
        columns: Vec<(Name, Type)>,
        any: bool,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub struct Expr {
    pub kind: ExprKind,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub enum ExprKind {
    Literal(Literal),
    /// A bare name: column, `let`, table; `$left`, `$right` and `$table` as well.
    Name(String),
    /// `database("x").T`, `a.b`, `a['b']`, `a["b"]`, `a.['b']`: `object . member`.
    Member {
        object: Box<Expr>,
        member: Name,
    },
    /// `a[index]`, where the index is not a plain string.
    Index {
        object: Box<Expr>,
        index: Box<Expr>,
    },
    /// `f(args)`; arguments may be named (`f(x = 1)`).
    Call {
        function: Name,
        args: Vec<Arg>,
    },
    /// `-x`, `+x`
    Unary {
        minus: bool,
        operand: Box<Expr>,
    },
    Binary {
        op: Binary,
        left: Box<Expr>,
        right: Box<Expr>,
    },
    /// `x in (a, b)`, `x has_any (T)`: the list holds scalars or a single tabular expression.
    In {
        op: InOp,
        left: Box<Expr>,
        list: Vec<Expr>,
    },
    /// `x between (a .. b)`, `x !between (a .. b)`
    Between {
        not: bool,
        left: Box<Expr>,
        low: Box<Expr>,
        high: Box<Expr>,
    },
    /// `*` where it stands for all columns: `count(*)`, `* has "x"`, `arg_max(t, *)`.
    Star,
    /// `source | operator | operator`
    Pipe {
        source: Box<Expr>,
        operators: Vec<Operator>,
    },
    /// `datatable (a: long) [1, 2]`
    Datatable {
        columns: Vec<(Name, Type)>,
        values: Vec<Expr>,
    },
    /// `externaldata (a: long) ["uri"] with (...)`: parsed, never fetched.
    ExternalData {
        columns: Vec<(Name, Type)>,
    },
    /// `print a = 1, 2`
    Print(Vec<Column>),
    /// `range x from a to b step c`
    Range {
        column: Name,
        from: Box<Expr>,
        to: Box<Expr>,
        step: Box<Expr>,
    },
    /// `union (A), (B)` as a source; as an operator it is [`OperatorKind::Union`].
    Union {
        options: Vec<NamedOption>,
        tables: Vec<Expr>,
    },
    /// `search ...` as a source.
    Search(Box<Search>),
    /// `find ...`, `evaluate plugin(...)` and other sources that start a pipe.
    /// `evaluate` as a source is an `Evaluate` operator over nothing.
    Source(Box<Operator>),
    /// `toscalar(T | ...)` and `materialize(T | ...)` and `toscalar(expr)`
    Tabular {
        function: TabularFunction,
        body: Box<Expr>,
    },
    /// A table name pattern: `App*` in `union` or `search in`.
    Wildcard(String),
    /// `(a, b)` as in `mv-expand` or the key list of `join on (a, b)`: only where a list may stand.
    List(Vec<Expr>),
    /// `contextual_datatable`, `entity_group [...]` and the like: parsed far enough to be named and refused.
    Unsupported(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TabularFunction {
    ToScalar,
    Materialize,
    ToTable,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    Bool(bool),
    Int(i32),
    Long(i64),
    Real(f64),
    /// Text of the digits as written in `decimal(...)`.
    Decimal(String),
    String(String),
    /// Ticks of 100 ns since 0001-01-01.
    DateTime(i64),
    /// Ticks of 100 ns.
    TimeSpan(i64),
    Guid(u128),
    /// JSON text of `dynamic(...)`, compact.
    Dynamic(String),
    /// `int(null)`, `datetime(null)`, ...
    Null(Type),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Arg {
    pub name: Option<Name>,
    pub value: Expr,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binary {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Equal,
    NotEqual,
    /// `=~`
    EqualFold,
    /// `!~`
    NotEqualFold,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    And,
    Or,
    /// `has`, `contains`, `startswith_cs`, `!endswith`, `hasprefix`, `like`, `matches regex`, ...
    Text(TextOp, Negated),
}

/// Whether the operator was written with `!` (`!has`, `notcontains`, `notlike`).
pub type Negated = bool;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextOp {
    Has,
    HasCs,
    HasPrefix,
    HasPrefixCs,
    HasSuffix,
    HasSuffixCs,
    Contains,
    ContainsCs,
    StartsWith,
    StartsWithCs,
    EndsWith,
    EndsWithCs,
    Like,
    LikeCs,
    MatchesRegex,
    /// `:` as in `search a: "x"`.
    Colon,
}

impl TextOp {
    /// The word that stands for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Has => "has",
            Self::HasCs => "has_cs",
            Self::HasPrefix => "hasprefix",
            Self::HasPrefixCs => "hasprefix_cs",
            Self::HasSuffix => "hassuffix",
            Self::HasSuffixCs => "hassuffix_cs",
            Self::Contains => "contains",
            Self::ContainsCs => "contains_cs",
            Self::StartsWith => "startswith",
            Self::StartsWithCs => "startswith_cs",
            Self::EndsWith => "endswith",
            Self::EndsWithCs => "endswith_cs",
            Self::Like => "like",
            Self::LikeCs => "likecs",
            Self::MatchesRegex => "matches regex",
            Self::Colon => ":",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InOp {
    In,
    NotIn,
    /// `in~`
    InFold,
    /// `!in~`
    NotInFold,
    HasAny,
    HasAll,
}

/// `name = expr`, `(a, b) = expr` or `expr`; `project`, `extend`, `summarize`, `print`, `distinct`.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Empty when not named; several for `(a, b) = f(x)`.
    pub names: Vec<Name>,
    pub value: Expr,
}

/// `kind=inner`, `hint.strategy=shuffle`, `isfuzzy=true`, `withsource=T`, `bagexpansion=array`.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedOption {
    pub name: Name,
    /// Bare words come as `ExprKind::Name`.
    pub value: Expr,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Operator {
    pub kind: OperatorKind,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub enum OperatorKind {
    /// `where` and `filter`
    Where(Expr),
    Extend(Vec<Column>),
    Project(Vec<Column>),
    /// Names and patterns (`a*`) to leave out.
    ProjectAway(Vec<Pattern>),
    ProjectKeep(Vec<Pattern>),
    /// `new = old`
    ProjectRename(Vec<(Name, Name)>),
    ProjectReorder(Vec<(Pattern, Option<ReorderOrder>)>),
    /// Each named by an expression; parsed and refused unless implemented.
    ProjectByNames(Vec<Expr>),
    /// `aggregates by keys`; `by_given` tells `summarize by x` from `summarize count()`.
    Summarize {
        options: Vec<NamedOption>,
        aggregates: Vec<Column>,
        by: Vec<Column>,
    },
    /// `distinct *` is a single `ExprKind::Star`.
    Distinct(Vec<Column>),
    Count {
        name: Option<Name>,
    },
    Sort {
        options: Vec<NamedOption>,
        by: Vec<SortKey>,
    },
    /// `take` and `limit`
    Take(Expr),
    Top {
        count: Expr,
        by: Vec<SortKey>,
    },
    TopNested(Vec<TopNested>),
    TopHitters {
        count: Expr,
        of: Expr,
        by: Option<Expr>,
    },
    Sample(Expr),
    SampleDistinct {
        count: Expr,
        of: Expr,
    },
    Join {
        options: Vec<NamedOption>,
        right: Box<Expr>,
        on: Vec<JoinKey>,
    },
    Lookup {
        options: Vec<NamedOption>,
        right: Box<Expr>,
        on: Vec<JoinKey>,
    },
    Union {
        options: Vec<NamedOption>,
        tables: Vec<Expr>,
    },
    MvExpand {
        options: Vec<NamedOption>,
        columns: Vec<MvColumn>,
        limit: Option<Expr>,
    },
    MvApply {
        options: Vec<NamedOption>,
        columns: Vec<MvColumn>,
        limit: Option<Expr>,
        id: Option<Name>,
        body: Box<SubQuery>,
    },
    Parse {
        options: Vec<NamedOption>,
        source: Expr,
        pattern: Vec<ParsePart>,
        filter: bool,
    },
    /// `parse-kv Expr as (a: long) with (pair_delimiter=..., ...)`
    ParseKv {
        source: Expr,
        columns: Vec<(Name, Type)>,
        options: Vec<NamedOption>,
    },
    MakeSeries(Box<MakeSeries>),
    /// `serialize a = ...`
    Serialize(Vec<Column>),
    GetSchema,
    /// `render kind with (...)`; also old `render kind kind=stacked by ...`.
    Render {
        kind: Name,
        options: Vec<NamedOption>,
    },
    As {
        options: Vec<NamedOption>,
        name: Name,
    },
    /// `invoke f(args)`
    Invoke {
        function: Name,
        args: Vec<Arg>,
    },
    /// `evaluate plugin(args) : (schema)`
    Evaluate {
        options: Vec<NamedOption>,
        function: Name,
        args: Vec<Arg>,
        schema: Option<OutputSchema>,
    },
    Search(Box<Search>),
    /// `find [withsource=T] [in (tables)] where predicate [project ...]`
    Find {
        options: Vec<NamedOption>,
        tables: Vec<Expr>,
        predicate: Expr,
        project: Vec<Column>,
    },
    Facet {
        by: Vec<Name>,
        with: Option<Box<SubQuery>>,
    },
    Fork(Vec<SubQuery>),
    Partition {
        options: Vec<NamedOption>,
        by: Name,
        body: Box<SubQuery>,
    },
    Scan(Vec<Name>),
    Reduce {
        by: Expr,
        options: Vec<NamedOption>,
    },
    Consume,
    AssertSchema(Vec<(Name, Type)>),
    /// Read far enough to be named and refused: `make-graph`, `graph-match`, `macro-expand`, ...
    Other {
        keyword: String,
    },
}

/// A nested pipe: `( where x | summarize ... )`, its source is the outer table.
#[derive(Debug, Clone, PartialEq)]
pub struct SubQuery {
    pub name: Option<Name>,
    pub operators: Vec<Operator>,
    pub span: Span,
}

/// `(*, a: long, ...)` after `evaluate ... :`; `star` keeps the input's columns.
#[derive(Debug, Clone, PartialEq)]
pub struct OutputSchema {
    pub star: bool,
    pub columns: Vec<(Name, Type)>,
}

/// A column name that may hold `*`.
#[derive(Debug, Clone, PartialEq)]
pub struct Pattern {
    pub text: String,
    pub span: Span,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReorderOrder {
    Asc,
    Desc,
    GrannyAsc,
    GrannyDesc,
}

#[derive(Debug, Clone, PartialEq)]
pub struct SortKey {
    pub value: Expr,
    /// `asc` and `desc` as written; Kusto's default is `desc`.
    pub ascending: Option<bool>,
    /// `nulls first`
    pub nulls_first: Option<bool>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct TopNested {
    pub count: Option<Expr>,
    pub of: Column,
    pub others: Option<Expr>,
    pub by: Column,
    pub ascending: Option<bool>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum JoinKey {
    /// `on a`
    Name(Name),
    /// `on $left.a == $right.b`, or any other expression, which the binder judges.
    Expr(Expr),
}

/// `a = expr to typeof(long)`, `with_itemindex` is an option of the operator.
#[derive(Debug, Clone, PartialEq)]
pub struct MvColumn {
    pub name: Option<Name>,
    pub value: Expr,
    pub to: Option<Type>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum ParsePart {
    /// `*`
    Star,
    /// `"text"`
    Text(String, Span),
    /// `name` or `name: type`; no type means string.
    Capture { name: Name, ty: Option<Type> },
}

/// `make-series a = f(x) default = 0 on t from x to y step z by k` (also `in range(x, y, z)`).
#[derive(Debug, Clone, PartialEq)]
pub struct MakeSeries {
    pub options: Vec<NamedOption>,
    pub aggregates: Vec<SeriesColumn>,
    pub on: Column,
    pub from: Option<Expr>,
    pub to: Option<Expr>,
    pub step: Expr,
    /// `in range(from, to, step)` includes its end; `from .. to` does not.
    pub in_range: bool,
    pub by: Vec<Column>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct SeriesColumn {
    pub column: Column,
    pub default: Option<Expr>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Search {
    pub options: Vec<NamedOption>,
    /// `in (A, B*)`
    pub tables: Vec<Expr>,
    pub predicate: Expr,
}
