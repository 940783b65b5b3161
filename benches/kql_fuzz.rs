//! Damaged queries against the query engine, on the stable compiler:
//!
//! `cargo bench --profile dev --bench kql_fuzz -- --seconds 600 --seed 1`
//!
//! Shipped queries, those of the test files and a short one per operator are cut, spliced and filled
//! with extremes, then parsed, bound and run over a few rows with tight limits. A panic (an overflow
//! is one in a development build), an evaluation that outlives its limit by far, and memory that
//! grows past any limit end the run with the seed and the query. The stack is as small as a
//! server's; a query that overflows it aborts the process, and is found in `kql_fuzz.last`. With
//! `--all` a run goes on after a panic, tells each place that panicked once, and what was slow.

use std::collections::HashSet;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use poolkeeper::kql::column::Column;
use poolkeeper::kql::exec::Limits;
use poolkeeper::kql::plan::Batch;
use poolkeeper::kql::signature::Signature;
use poolkeeper::kql::source::{Memory, Tables};
use poolkeeper::kql::types::{Field, Type};
use poolkeeper::kql::value::Value;
use poolkeeper::kql::{self, Options, aggregates, functions, parser};
use poolkeeper::local::telemetry::schemas;

const TIME: Duration = Duration::from_secs(2);
/// What `--all` tells of.
const SLOW: Duration = Duration::from_secs(3);
const STUCK: Duration = Duration::from_secs(20);
const MEMORY: usize = 64 << 20;
/// Resident bytes of the whole process that no run within the limits comes near.
const RESIDENT: u64 = 1 << 30;
const STACK: usize = 2 << 20;
/// 2026-01-15T12:00:00Z.
const NOW: i64 = 639_040_608_000_000_000;

/// One for every operator, plugin and habit of speech, over the tables of the estate.
const QUERIES: &[&str] = &[
    "AppRequests | where TimeGenerated > ago(1h) and Success == false | count",
    "AppRequests | where Name has 'a' or Url contains 'b' and not(OperationId startswith 'c')",
    "AppRequests | where ResultCode in ('200', '500') or ItemCount between (1 .. 5)",
    "AppRequests | extend a = DurationMs * 2 - ItemCount / 3 % 4, b = -ItemCount | project a, b",
    "AppRequests | project-away App* | project-keep *Id, Name | project-rename x = Name | project-reorder *, x",
    "AppRequests | summarize count(), dcount(Name), percentile(DurationMs, 95) by bin(TimeGenerated, 5m), Success",
    "AppRequests | summarize arg_max(TimeGenerated, *) by Name | sort by Name asc nulls first, TimeGenerated",
    "AppRequests | summarize make_list(Name, 3), make_set(ItemCount), make_bag(Properties), take_any(*)",
    "AppRequests | summarize percentiles(DurationMs, 5, 50, 95), stdev(DurationMs), variance(ItemCount), avg(DurationMs)",
    "AppRequests | summarize hll(Name), tdigest(DurationMs) | project dcount_hll(hll_Name), percentile_tdigest(tdigest_DurationMs, 50)",
    "AppRequests | top 3 by DurationMs desc nulls last | take 2 | limit 1",
    "AppRequests | top-nested 2 of Name by count(), top-nested 1 of ResultCode with others = 'o' by sum(ItemCount)",
    "AppRequests | top-hitters 2 of Name by ItemCount",
    "AppRequests | sample 2 | union (AppRequests | sample-distinct 2 of Name)",
    "AppRequests | distinct Name, Success | getschema",
    "AppRequests | join kind=leftouter (AppExceptions | project OperationId, ProblemId) on OperationId",
    "AppRequests | join kind=fullouter AppDependencies on $left.OperationId == $right.OperationId | count",
    "AppRequests | join kind=leftanti (AppExceptions) on OperationId | lookup (AppDependencies | project Id, Target) on Id",
    "union withsource=S kind=outer AppRequests, (AppTraces | where SeverityLevel > 1) | count by S",
    "union App* | search 'error' and Name: 'x*' | find in (AppRequests) where Name == 'a'",
    "search in (AppRequests, AppTraces) 'a' or Message has 'b' | take 5",
    "find withsource=S in (AppRequests, AppTraces) where OperationId != '' project TimeGenerated, pack_all()",
    "AppRequests | mv-expand k = Properties, ItemCount to typeof(long) limit 10 | mv-expand bagexpansion=array Measurements",
    "print x = dynamic([1, 2, [3, {'a': null}]]) | mv-expand with_itemindex=i x | mv-apply y = x to typeof(long) on (where y > 0 | summarize sum(y))",
    "AppTraces | parse Message with * 'a=' a: long ' b=' b: real *",
    "AppTraces | parse-where kind=regex flags=Ui Message with @'\\d+' n: int * 'z'",
    "print s = 'a=1, b=\"2\"' | parse-kv s as (a: long, b: string) with (pair_delimiter=',', kv_delimiter='=', quote='\"')",
    "AppRequests | make-series n = count() default = 0, avg(DurationMs) on TimeGenerated from ago(1d) to now() step 1h by Name",
    "AppRequests | make-series sum(ItemCount) on TimeGenerated in range(ago(1h), now(), 5m) | extend series_fit_line(sum_ItemCount)",
    "print s = dynamic([1, 2, null, 4, 100]) | extend series_outliers(s), series_decompose_anomalies(s), series_fir(s, dynamic([1, 1]))",
    "print series_stats(dynamic([1, 2, 3])), series_fill_linear(dynamic([1, null, 3])), series_periods_detect(dynamic([1,2,1,2,1,2]), 0, 4, 2)",
    "range x from 1 to 10 step 3 | extend y = x * x, z = prev(x) | serialize n = row_number(), c = row_cumsum(x)",
    "range t from datetime(2026-01-01) to datetime(2026-01-02) step 6h | extend d = dayofweek(t), e = startofmonth(t, -1), f = endofyear(t)",
    "range x from 1.5 to 3.5 step 0.5 | as T | union T | reduce by x",
    "datatable(a: long, b: string, c: real, d: datetime, e: timespan, f: dynamic, g: guid, h: decimal, i: bool, j: int)\
     [1, 'x', 1.5, datetime(2026-01-01), 1h, dynamic({'a': 1}), guid(74be27de-1e4e-49d9-b579-fe0b331d3642), decimal(1.5), true, 7,\
     long(null), '', real(nan), datetime(null), time(null), dynamic(null), guid(null), decimal(null), bool(null), int(null)]\
     | extend k = a + 1, l = d + e, m = d - d, n = e / 2, o = h * 2, p = f.a, q = f['a'], r = -j, s = a % 3, t = e % 7m, u = bin(e, 13m)",
    "let n = 5; let f = (x: long, y: string = 'a') { strcat(y, x * n) }; print f(2), f(3, 'b')",
    "let T = materialize(AppRequests | take 2); let v = toscalar(T | count); T | where ItemCount in (T | project ItemCount) | extend v",
    "let f = (T: (x: long)) { T | where x > 1 | invoke g() }; let g = (T: (*)) { T | count }; range x from 1 to 3 step 1 | invoke f()",
    "AppRequests | invoke f() | evaluate bag_unpack(Properties, 'p_')",
    "AppRequests | summarize n = count() by Name, ResultCode | evaluate pivot(ResultCode, sum(n))",
    "AppRequests | take 2 | evaluate narrow()",
    "AppRequests | partition by Name (top 1 by DurationMs | project Name, DurationMs)",
    "AppRequests | scan declare (n: long = 0) with (step s: true => n = s.n + 1;)",
    "AppRequests | fork (count) (take 1) | facet by Name | consume",
    "AppRequests | project Name, t = tostring(Properties.a.b[0]), x = todouble(Measurements['m']), y = iff(Success, 1, 2), z = case(ItemCount > 1, 'a', 'b')",
    "print split('a,b,c', ',', 1), strcat_delim('-', 1, 'b'), substring('hello', -3, 2), replace_regex('abc', '(b)', '<\\\\1>'), extract('(\\\\d+)', 1, 'a12', typeof(long))",
    "print format_datetime(now(), 'yyyy-MM-dd HH:mm:ss.fffffff tt'), format_timespan(1d, 'd.hh:mm'), datetime_add('month', 5, now()), datetime_diff('week', now(), ago(30d)), datetime_part('weekofyear', now())",
    "print bin(5, 2), bin_at(now(), 1d, ago(1h)), floor(-1.5, 1), round(2.345, 2), pow(2, 63), exp(1000), log(-1), sqrt(-1), gamma(171), beta_cdf(0.5, 1, 2)",
    "print array_concat(range(1, 3), pack_array('a')), array_slice(range(1, 9), -3, -1), array_rotate_left(range(1, 5), 7), repeat(1, 3), zip(range(1, 2), range(3, 4)), array_split(range(1, 6), dynamic([2, 4]))",
    "print bag_merge(dynamic({'a': 1}), dynamic({'b': 2})), bag_keys(dynamic({'a': {'b': 1}})), treepath(parse_json('{\"a\":[1]}')), set_union(range(1, 3), range(2, 5)), jaccard_index(range(1, 3), range(2, 5))",
    "print ipv4_is_in_range('1.2.3.4', '1.2.0.0/16'), parse_ipv4('1.2.3.4'), format_ipv4(16909060, 24), parse_url('http://a:1/b?c=d#e'), parse_version('1.2.3'), parse_csv('a,\"b\"'), base64_decode_tostring('YQ=='), hash('a', 10), hash_sha256('a'), url_encode('a b')",
    "print toint('12'), tolong('0x1f'), todouble('1e400'), todecimal('1.5'), totimespan('1.02:03:04'), todatetime('2026-01-01T00:00:00+09:00'), tobool('yes'), toguid('x'), binary_shift_left(1, 62), binary_and(5, 3), unixtime_seconds_todatetime(1e9)",
    "AppRequests | where * has 'x' | project n = Name matches regex '^a.*z$', u = Name =~ 'A', v = Name !in~ ('a'), w = Name has_any ('a', 'b'), x = Name hasprefix 'c', y = isnull(ItemCount), z = isempty(Name)",
    "AppRequests | sort by TimeGenerated asc | extend s = row_window_session(TimeGenerated, 1h, 5m, Name != prev(Name)), r = row_rank_dense(Name), nx = next(ItemCount, 2, 0)",
    "AppRequests | render timechart with (title='x', ycolumns=ItemCount)",
    "AppRequests | extend column_ifexists('nope', 1), ingestion_time(), new_guid(), rand(), todynamic('[1]')[0], coalesce(ItemCount, 0), max_of(1, 2), min_of(datetime(2026-01-01), now())",
    "AppRequests | distinct * | as X | count | extend e = Count << 1",
    "print 1 == 1 and not(false) or null == 1, 'a' <> 'b', 1 != 1.5, -9223372036854775807 - 2, 9223372036854775807 + 1, 1 / 0, 1 % 0, 1.0 / 0, 5h / 2h, 1d * 1.5, now() - 1d, datetime(9999-12-31) + 1d, int(2147483647) + int(1)",
];

/// What literals are replaced by.
const EXTREMES: &[&str] = &[
    "0",
    "-1",
    "1",
    "2",
    "9223372036854775807",
    "-9223372036854775808",
    "(-9223372036854775807 - 1)",
    "long(-9223372036854775808)",
    "long(null)",
    "int(2147483647)",
    "int(-2147483648)",
    "int(null)",
    "4294967296",
    "2147483648",
    "100000000000",
    "1e308",
    "-1e308",
    "1e-308",
    "real(nan)",
    "real(+inf)",
    "real(-inf)",
    "real(null)",
    "0.0",
    "-0.5",
    "1.5",
    "decimal(79228162514264337593543950335)",
    "decimal(-79228162514264337593543950335)",
    "decimal(1e-28)",
    "decimal(0)",
    "decimal(null)",
    "datetime(9999-12-31)",
    "datetime(9999-12-31T23:59:59.9999999Z)",
    "datetime(0001-01-01)",
    "datetime(null)",
    "datetime(2026-01-15)",
    "now()",
    "time(null)",
    "0s",
    "-1tick",
    "1tick",
    "10675199.02:48:05.4775807",
    "time(10675199.02:48:05.4775807)",
    "time(-10675199.02:48:05.4775808)",
    "1000000000d",
    "1d",
    "true",
    "false",
    "bool(null)",
    "''",
    "'a'",
    "'\\u0000\\uFFFF'",
    "'é😀ß'",
    "'['",
    "'(a|'",
    "'a{1000}{1000}'",
    "'%s{0}\\\\1'",
    "'-9223372036854775808'",
    "'1.1.1.1/99'",
    "'9999-12-31'",
    "dynamic(null)",
    "dynamic([])",
    "dynamic({})",
    "dynamic([1, 'a', null, [2], {'b': 3}])",
    "dynamic({'a': {'b': [1]}})",
    "dynamic([9223372036854775807, -9223372036854775808, 1e308, -1e308])",
    "dynamic([null, null])",
    "dynamic([1.5, 2, 3, 2, 1.5, 2, 3, 2])",
    "dynamic(['a', 'b', 'a'])",
    "guid(null)",
    "guid(74be27de-1e4e-49d9-b579-fe0b331d3642)",
    "typeof(long)",
    "typeof(string)",
    "*",
    "x",
    "range(1, 20)",
    "range(1, 1000000000)",
    "repeat(1, 1000000000)",
    "range(datetime(0001-01-01), datetime(9999-12-31), 1tick)",
    "pack_array(1, 2)",
    "bag_pack('a', 1)",
    "strrep('ab', 1000000)",
    "'month'",
    "'year'",
    "'nanosecond'",
    "'$.a[0]'",
];

/// A small generator of numbers; the same seed gives the same run.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `n`; 0 for 0.
    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }
}

/// Words, numbers, texts, blanks and signs, each as it stands.
fn tokens(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        let start = at;
        let first = chars[at];
        at += 1;
        let same: Option<fn(char) -> bool> = if first.is_alphanumeric() || first == '_' {
            Some(|c| c.is_alphanumeric() || c == '_')
        } else if first.is_whitespace() {
            Some(char::is_whitespace)
        } else {
            None
        };
        if let Some(same) = same {
            while at < chars.len() && same(chars[at]) {
                at += 1;
            }
        } else if first == '\'' || first == '"' {
            while at < chars.len() && chars[at] != first {
                at += if chars[at] == '\\' { 2 } else { 1 };
            }
            at = (at + 1).min(chars.len());
        }
        tokens.push(chars[start..at].iter().collect());
    }
    tokens
}

fn is_literal(token: &str) -> bool {
    token.starts_with(|c: char| c.is_ascii_digit() || c == '\'' || c == '"')
        || matches!(token, "true" | "false" | "null")
}

fn is_long(extreme: &str) -> bool {
    extreme.ends_with("000)") || extreme.ends_with("1tick)")
}

struct Mutator {
    corpus: Vec<String>,
    /// All tokens of the corpus, names of functions and of columns.
    words: Vec<String>,
    calls: Vec<(String, Vec<Signature>, bool)>,
    dice: Dice,
}

impl Mutator {
    fn new(corpus: Vec<String>, seed: u64) -> Self {
        let mut words: Vec<String> = corpus.iter().flat_map(|text| tokens(text)).collect();
        words.sort_unstable();
        words.dedup();
        let scalars = functions::names().filter_map(|name| {
            let found = functions::find(name)?;
            Some((name.to_owned(), found.signatures.clone(), false))
        });
        let aggregates = aggregates::names().filter_map(|name| {
            let (found, _) = aggregates::find(name)?;
            Some((name.to_owned(), found.signatures.clone(), true))
        });
        let calls = scalars.chain(aggregates).collect();
        let dice = Dice(seed);
        Self {
            corpus,
            words,
            calls,
            dice,
        }
    }

    fn next(&mut self) -> String {
        match self.dice.below(10) {
            0..=3 => self.call(),
            4 => self.nested(),
            _ => {
                let which = self.dice.below(self.corpus.len());
                let mut text = self.corpus[which].clone();
                for _ in 0..=self.dice.below(4) {
                    text = if self.dice.below(5) == 0 {
                        self.bytes(&text)
                    } else {
                        self.tokens(&text)
                    };
                }
                text
            }
        }
    }

    /// A call of some function on extremes, its parameters mostly of the types that it takes.
    fn call(&mut self) -> String {
        let which = self.dice.below(self.calls.len());
        let (name, signatures, aggregate) = &self.calls[which];
        let (name, aggregate) = (name.clone(), *aggregate);
        let signature = signatures[self.dice.below(signatures.len())].clone();
        let mut count = signature.params.len();
        match self.dice.below(4) {
            0 => count += 1 + self.dice.below(3),
            1 => count = count.saturating_sub(1 + self.dice.below(2)),
            _ => {}
        }
        let args: Vec<String> = (0..count)
            .map(|i| {
                if aggregate && i == 0 && self.dice.below(3) > 0 {
                    return self.column();
                }
                self.argument(
                    signature
                        .param(i, count)
                        .map(|param| format!("{:?}", param.accept)),
                )
            })
            .collect();
        let call = format!("{name}({})", args.join(", "));
        match (aggregate, self.dice.below(4)) {
            (true, 0) => format!("AppRequests | summarize {call} by Name"),
            (true, 1) => format!(
                "AppRequests | make-series {call} default = 0 on TimeGenerated from {} to {} step {}",
                self.extreme(),
                self.extreme(),
                self.extreme()
            ),
            (true, _) => {
                format!("AppRequests | summarize r = {call}, count() by Success, ResultCode")
            }
            (false, 0) => {
                let column = self.column();
                let at = call.find('(').map_or(0, |at| at + 1);
                let rest = call[at..].split_once(',').map_or(")", |(_, rest)| rest);
                let comma = if rest == ")" { "" } else { "," };
                format!(
                    "AppRequests | extend r = {}{column}{comma}{rest}",
                    &call[..at]
                )
            }
            (false, 1) => {
                format!("AppRequests | sort by TimeGenerated | where isnotnull({call}) | count")
            }
            (false, _) => format!("print {call}"),
        }
    }

    fn column(&mut self) -> String {
        self.dice
            .pick(&[
                "Name",
                "DurationMs",
                "ItemCount",
                "TimeGenerated",
                "Success",
                "Properties",
                "Measurements",
                "*",
                "DurationMs * 1e300",
                "ItemCount * 9223372036854775807",
                "TimeGenerated - ago(1h)",
                "toguid(Id)",
                "todecimal(DurationMs)",
                "toint(ItemCount)",
                "Properties.a",
                "Measurements.m",
            ])
            .to_owned()
    }

    fn argument(&mut self, accept: Option<String>) -> String {
        let accept = accept.unwrap_or_default();
        let wanted: Option<fn(&&&str) -> bool> = match accept.as_str() {
            _ if self.dice.below(6) == 0 => None,
            "Text" | "Exactly(String)" | "AnyText" => Some(|text| text.starts_with('\'')),
            "Exactly(Long)" | "Integer" | "Exactly(Int)" => Some(|text| {
                !text.contains(['.', 'e']) && text.contains(|c: char| c.is_ascii_digit())
                    || text.starts_with("int(")
                    || text.starts_with("long(")
            }),
            "Number" | "Wide" | "Exactly(Real)" | "Exactly(Decimal)" => Some(|text| {
                text.starts_with(|c: char| c.is_ascii_digit() || c == '-')
                    || text.starts_with("real")
                    || text.starts_with("decimal")
                    || text.starts_with("long")
            }),
            "Exactly(DateTime)" => {
                Some(|text| text.starts_with("datetime") || text.starts_with("now"))
            }
            "Exactly(TimeSpan)" => {
                Some(|text| text.starts_with("time(") || text.ends_with(['d', 's']))
            }
            "Exactly(Dynamic)" => Some(|text| {
                text.starts_with("dynamic")
                    || text.starts_with("range")
                    || text.starts_with("repeat")
            }),
            "TypeLiteral" => Some(|text| text.starts_with("typeof")),
            _ => None,
        };
        let from: Vec<&str> = match wanted {
            Some(wanted) => EXTREMES.iter().filter(wanted).copied().collect(),
            None => EXTREMES.to_vec(),
        };
        if from.is_empty() {
            return self.extreme();
        }
        let picked = self.dice.pick(&from);
        if is_long(picked) {
            return self.extreme();
        }
        picked.to_owned()
    }

    fn extreme(&mut self) -> String {
        // What makes a million elements is rare, as it takes a second.
        let mut picked = self.dice.pick(EXTREMES);
        for _ in 0..4 {
            if is_long(picked) {
                picked = self.dice.pick(EXTREMES);
            }
        }
        picked.to_owned()
    }

    /// Something within itself, many times over.
    fn nested(&mut self) -> String {
        let depth = [10, 50, 100, 200, 1000, 10_000][self.dice.below(6)];
        let (open, core, close) = [
            ("(", "1", ")"),
            ("-", "1", ""),
            ("not(", "true", ")"),
            ("dynamic([", "1", "])"),
            ("[", "1", "]"),
            ("strcat('a', ", "'b'", ")"),
            ("iff(true, ", "1", ", 2)"),
            ("pack_array(", "1", ")"),
            ("1 + ", "1", ""),
            ("1 - (", "1", ")"),
            ("true and ", "true", ""),
            ("x.", "y", ""),
            ("x[", "0", "]"),
            ("parse_json('[", "1", "]')"),
            ("case(true, 1, ", "2", ")"),
            ("toscalar(print ", "1", ")"),
            ("bag_pack('a', ", "1", ")"),
            ("{", "'a': 1", "}"),
            ("1 in (", "1", ")"),
        ][self.dice.below(19)];
        let (open, close) = (open.repeat(depth), close.repeat(depth));
        match self.dice.below(8) {
            0 => format!("print dynamic({}1{})", "[".repeat(depth), "]".repeat(depth)),
            1 => format!(
                "print x = parse_json('{}1{}') | extend y = tostring(x), z = array_length(x)",
                "[".repeat(depth),
                "]".repeat(depth)
            ),
            2 => format!("AppRequests {}", "| extend a = 1 ".repeat(depth)),
            3 => format!(
                "{}AppRequests{}",
                "union (".repeat(depth),
                ")".repeat(depth)
            ),
            4 => format!(
                "AppRequests | join ({}AppTraces{}) on Id",
                "AppTraces | join (".repeat(depth),
                ") on Id".repeat(depth)
            ),
            5 => format!(
                "{} print a",
                (0..depth.min(300))
                    .map(|i| format!("let a{} = a{i} + a{i};", i + 1))
                    .collect::<String>()
            ),
            _ => format!("print x = dynamic({{}}) | extend r = {open}{core}{close}"),
        }
    }

    fn bytes(&mut self, text: &str) -> String {
        let mut bytes = text.as_bytes().to_vec();
        let at = self.dice.below(bytes.len() + 1);
        let end = (at + 1 + self.dice.below(12)).min(bytes.len());
        match self.dice.below(4) {
            0 => drop(bytes.drain(at..end)),
            1 => {
                let copy = bytes[at.min(end)..end].to_vec();
                bytes.splice(at..at, copy);
            }
            2 => bytes.insert(at, (self.dice.next() & 0xff) as u8),
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << self.dice.below(8);
                }
            }
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn tokens(&mut self, text: &str) -> String {
        let mut all = tokens(text);
        let at = self.dice.below(all.len());
        let end = (at + 1 + self.dice.below(6)).min(all.len());
        if all.is_empty() {
            return self.extreme();
        }
        match self.dice.below(10) {
            0 => drop(all.drain(at..end)),
            1 => {
                let copy = all[at..end].to_vec();
                all.splice(at..at, copy);
            }
            2 => {
                let other = self.dice.below(all.len());
                all.swap(at, other);
            }
            3 => {
                let which = self.dice.below(self.corpus.len());
                let other = tokens(&self.corpus[which]);
                let from = self.dice.below(other.len());
                all.truncate(at);
                all.extend_from_slice(&other[from..]);
            }
            4 => {
                let which = self.dice.below(self.words.len());
                all[at] = self.words[which].clone();
            }
            5 => {
                let which = self.dice.below(self.corpus.len());
                let steps: Vec<&str> = self.corpus[which].split('|').skip(1).collect();
                if !steps.is_empty() {
                    let step = self.dice.pick(&steps);
                    return format!("{text} | {step}");
                }
            }
            _ => {
                let literals: Vec<usize> =
                    (0..all.len()).filter(|i| is_literal(&all[*i])).collect();
                let at = if literals.is_empty() {
                    at
                } else {
                    literals[self.dice.below(literals.len())]
                };
                all[at] = self.extreme();
            }
        }
        let text = all.concat();
        // Growth without end would slow the run down and find nothing new.
        if text.len() > 20_000 {
            text.chars().take(5_000).collect()
        } else {
            text
        }
    }
}

fn catalog(dice: &mut Dice) -> Tables {
    let mut tables = Tables::default();
    for name in schemas::tables().filter(|name| name.starts_with("App")) {
        let schema = schemas::schema(name).expect("a listed table");
        let rows = 7;
        let columns = schema.fields.iter().map(|field| {
            let cells: Vec<Value> = (0..rows).map(|row| cell(field, row, dice)).collect();
            Column::from_values(field.ty, cells)
        });
        let batch = Batch::new(columns.collect(), rows);
        let halves = vec![batch.slice(0, 3), batch.slice(3, rows - 3)];
        tables.add(name, Arc::new(Memory::new(schema.clone(), halves)));
    }
    tables
}

fn cell(field: &Field, row: usize, dice: &mut Dice) -> Value<'static> {
    let pick = dice.below(4);
    match field.ty {
        Type::String => Value::string(["", "a b", "é/x?y=1", "200"][pick]),
        _ if row % 3 == 2 => Value::Null,
        Type::Bool => Value::Bool(pick < 2),
        Type::Int => Value::Int([0, -1, i32::MAX, i32::MIN][pick]),
        Type::Long => Value::Long([0, 3, i64::MAX, i64::MIN][pick]),
        Type::Real => Value::Real([0.5, f64::NAN, 1e308, f64::NEG_INFINITY][pick]),
        Type::DateTime => {
            let back = [0, 36_000_000_000, 1, 864_000_000_000][pick];
            Value::DateTime(NOW - back)
        }
        Type::TimeSpan => Value::TimeSpan([0, 1, i64::MAX, i64::MIN][pick]),
        Type::Guid => Value::Guid(u128::from(dice.next())),
        Type::Dynamic => {
            Value::dynamic(["{\"a\":{\"b\":[1]},\"m\":1.5}", "[1,\"a\",null]", "7", "{}"][pick])
        }
        Type::Decimal => Value::Decimal(Default::default()),
    }
}

/// The shipped queries, those of the test files, and the built-in ones.
fn corpus() -> Vec<String> {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut corpus: Vec<String> = QUERIES.iter().map(|text| (*text).to_owned()).collect();
    for (folder, ending) in [("src/queries", "kql"), ("tests/kql", "kqlt")] {
        let Ok(files) = std::fs::read_dir(project.join(folder)) else {
            continue;
        };
        let mut paths: Vec<PathBuf> = files.flatten().map(|file| file.path()).collect();
        paths.retain(|path| path.extension().is_some_and(|found| found == ending));
        paths.sort();
        for text in paths
            .iter()
            .filter_map(|path| std::fs::read_to_string(path).ok())
        {
            if ending == "kql" {
                corpus.push(text);
            } else {
                corpus.extend(text.split("\n\n").filter_map(question));
            }
        }
    }
    corpus
}

/// The query of a record of a test file.
fn question(record: &str) -> Option<String> {
    let mut lines = record
        .lines()
        .skip_while(|line| !line.starts_with("query "));
    lines.next()?;
    let lines: Vec<&str> = lines.take_while(|line| *line != "----").collect();
    Some(lines.join("\n"))
}

#[derive(Default)]
struct Counts {
    tried: AtomicU64,
    parsed: AtomicU64,
    bound: AtomicU64,
    executed: AtomicU64,
}

impl Counts {
    fn print(&self, since: Instant) {
        let tried = self.tried.load(Ordering::Relaxed);
        let seconds = since.elapsed().as_secs_f64();
        println!(
            "{seconds:5.0} s  {:6.0} /s  tried {tried}  parsed {}  bound {}  executed {}  peak {} MiB",
            tried as f64 / seconds,
            self.parsed.load(Ordering::Relaxed),
            self.bound.load(Ordering::Relaxed),
            self.executed.load(Ordering::Relaxed),
            memory("VmHWM:") >> 20,
        );
    }
}

fn one(text: &str, tables: &Tables, counts: &Counts) {
    counts.tried.fetch_add(1, Ordering::Relaxed);
    let mut options = Options::at(NOW);
    options.limits = Limits {
        time: TIME,
        memory: MEMORY,
        threads: 1,
    };
    if let Err(error) = parser::parse(text) {
        let _ = error.render(text);
        return;
    }
    counts.parsed.fetch_add(1, Ordering::Relaxed);
    if let Err(error) = kql::check(text, tables, &options) {
        let _ = error.render(text);
        return;
    }
    counts.bound.fetch_add(1, Ordering::Relaxed);
    match kql::query(text, tables, &options) {
        Ok(table) => {
            counts.executed.fetch_add(1, Ordering::Relaxed);
            if table.rows() < 10_000 {
                let _ = kql::output::json(&table);
            }
        }
        Err(error) => drop(error.render(text)),
    }
}

/// Bytes, of a line of the kernel's account of this process; 0 where there is none.
fn memory(line: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let found = status.lines().find_map(|text| text.strip_prefix(line));
    let kilobytes = found.and_then(|text| text.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kilobytes.unwrap_or(0) << 10
}

fn argument(name: &str) -> Option<u64> {
    let mut args = std::env::args().skip_while(|arg| arg != name);
    args.next()?;
    args.next()?.parse().ok()
}

/// Where the last panic was, and its message.
static PANIC: Mutex<(String, String)> = Mutex::new((String::new(), String::new()));

fn remember(info: &panic::PanicHookInfo<'_>) {
    let place = info.location().map_or(String::new(), ToString::to_string);
    let payload = info.payload();
    let text = payload.downcast_ref::<&str>().copied();
    let owned = payload.downcast_ref::<String>().map(String::as_str);
    let message = text.or(owned).unwrap_or("").to_owned();
    *PANIC.lock().unwrap_or_else(PoisonError::into_inner) = (place, message);
}

type Current = Arc<Mutex<(String, Option<Instant>)>>;

fn work(seed: u64, until: Instant, current: &Current, counts: &Counts, last: &Path) -> bool {
    let tables = catalog(&mut Dice(7));
    let mut mutator = Mutator::new(corpus(), seed);
    let unchanged = mutator.corpus.clone();
    let mut waiting = unchanged.into_iter();
    let all = std::env::args().any(|arg| arg == "--all");
    let mut told = HashSet::new();
    let mut sound = true;
    while Instant::now() < until {
        let text = waiting.next().unwrap_or_else(|| mutator.next());
        // A stack that overflows takes the process along, so the query must be on disk by then.
        let _ = std::fs::write(last, &text);
        *current.lock().unwrap_or_else(PoisonError::into_inner) =
            (text.clone(), Some(Instant::now()));
        let began = Instant::now();
        let done = panic::catch_unwind(AssertUnwindSafe(|| one(&text, &tables, counts)));
        if began.elapsed() > SLOW && all {
            println!("{:.1} s: {:.300}", began.elapsed().as_secs_f64(), text);
        }
        current.lock().unwrap_or_else(PoisonError::into_inner).1 = None;
        if done.is_ok() {
            continue;
        }
        sound = false;
        let place = PANIC.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if told.insert(place.0.clone()) {
            println!(
                "panic at {}: {}, seed {seed}, in:\n{text}\n",
                place.0, place.1
            );
        }
        if !all {
            break;
        }
    }
    sound
}

fn main() {
    // `cargo test --benches` asks for nothing.
    let Some(seconds) = argument("--seconds") else {
        println!("say how long: --seconds 60, and perhaps --seed 1");
        return;
    };
    let seed = argument("--seed").unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.map_or(1, |since| since.as_secs())
    });
    let last = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kql_fuzz.last");
    println!("seed {seed}; the query under way is in {}", last.display());
    panic::set_hook(Box::new(remember));
    let start = Instant::now();
    let until = start + Duration::from_secs(seconds);
    let (current, counts) = (Current::default(), Arc::new(Counts::default()));
    let worker = {
        let (current, counts) = (current.clone(), counts.clone());
        std::thread::Builder::new()
            .stack_size(STACK)
            .spawn(move || work(seed, until, &current, &counts, &last))
            .expect("a thread")
    };
    let mut printed = start;
    while !worker.is_finished() {
        std::thread::sleep(Duration::from_millis(20));
        if printed.elapsed() >= Duration::from_secs(10) {
            printed = Instant::now();
            counts.print(start);
        }
        let resident = memory("VmRSS:");
        let (text, since) = current
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let why = match since {
            Some(since) if since.elapsed() > STUCK => "no end",
            Some(_) if resident > RESIDENT => "memory without limit",
            _ => continue,
        };
        println!("{why} ({} MiB), seed {seed}, in:\n{text}", resident >> 20);
        std::process::exit(1);
    }
    counts.print(start);
    if !worker.join().unwrap_or(false) {
        std::process::exit(1);
    }
}
