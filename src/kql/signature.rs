//! What a function takes and gives, as one line of text: `string, long? -> string`.
//!
//! A word per parameter; `?` may be left out, `*` may come any number of times, `+` once or more
//! (`*` and `+` on the last ones repeat together, as the pairs of `case`), `!` must be constant.
//! Overloads are separated by `;`. What the words mean is told at [`Accept`] and [`Returns`].

use super::types::Type;

/// What a parameter takes, and what the function then sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accept {
    /// `any`: any scalar, as it is.
    Any,
    /// `int`... a type's name: exactly this type. `long` also takes int, `real` any number but
    /// decimal, `decimal` any number; the function sees the named type.
    Exactly(Type),
    /// `integer`: int or long; the function sees long.
    Integer,
    /// `number`: any number, as it is.
    Number,
    /// `summable`: number, datetime or timespan, as it is.
    Summable,
    /// `orderable`: all but dynamic, as it is.
    Orderable,
    /// `text`: string, or dynamic, of which the function sees what `tostring` makes.
    Text,
    /// `anytext`: any scalar, of which the function sees what `tostring` makes.
    AnyText,
    /// `common`: all such parameters are converted to one type.
    Common,
    /// `wide`: numbers; all such parameters are converted to the widest of them.
    Wide,
    /// `type`: `typeof(...)`; the function sees its name as a string.
    TypeLiteral,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Param {
    pub accept: Accept,
    pub optional: bool,
    pub repeats: bool,
    pub constant: bool,
}

/// What the result's type is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Returns {
    /// A type's name.
    Exactly(Type),
    /// `0`, `1`, ...: the type of that argument.
    Arg(usize),
    /// `promoted0`: the type of the argument, int as long.
    Promoted(usize),
    /// `common`, `wide`: the type that such parameters were converted to.
    Common,
    /// `literal3`: the type that this argument names, string when it is left out.
    Literal(usize),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    pub params: Vec<Param>,
    pub returns: Returns,
}

impl Signature {
    /// Reads all overloads. Panics on a mistake: the texts are ours, and a test reads each.
    #[must_use]
    pub fn parse(text: &str) -> Vec<Self> {
        text.split(';')
            .map(|one| Self::parse_one(one.trim()))
            .collect()
    }

    fn parse_one(text: &str) -> Self {
        let (params, returns) = text.split_once("->").expect("a signature has an arrow");
        let params = params
            .split(',')
            .map(str::trim)
            .filter(|word| !word.is_empty())
            .map(param)
            .collect();
        Self {
            params,
            returns: returned(returns.trim()),
        }
    }

    /// The parameter that takes the argument at `index` of `count`, if there is one.
    #[must_use]
    pub fn param(&self, index: usize, count: usize) -> Option<&Param> {
        let first = self.params.iter().position(|param| param.repeats);
        let Some(first) = first else {
            return self.params.get(index);
        };
        let cycle = self.params[first..]
            .iter()
            .take_while(|param| param.repeats)
            .count();
        let after = self.params.len() - first - cycle;
        if index < first {
            self.params.get(index)
        } else if index + after >= count && after > 0 {
            self.params.get(self.params.len() - (count - index))
        } else {
            self.params.get(first + (index - first) % cycle)
        }
    }

    /// Whether this many arguments can be meant.
    #[must_use]
    pub fn takes(&self, count: usize) -> bool {
        let least = self.params.iter().filter(|param| !param.optional).count();
        let cycle = self.params.iter().filter(|param| param.repeats).count();
        if cycle == 0 {
            return (least..=self.params.len()).contains(&count);
        }
        let fixed = self.params.len() - cycle;
        count >= least && (cycle == 1 || (count - fixed.min(count)).is_multiple_of(cycle))
    }
}

fn param(word: &str) -> Param {
    let name = word.trim_end_matches(['?', '*', '+', '!']);
    let marks = &word[name.len()..];
    let accept = match name {
        "any" => Accept::Any,
        "integer" => Accept::Integer,
        "number" => Accept::Number,
        "summable" => Accept::Summable,
        "orderable" => Accept::Orderable,
        "text" => Accept::Text,
        "anytext" => Accept::AnyText,
        "common" => Accept::Common,
        "wide" => Accept::Wide,
        "type" => Accept::TypeLiteral,
        name => {
            Accept::Exactly(Type::from_name(name).unwrap_or_else(|| panic!("no type `{name}`")))
        }
    };
    Param {
        accept,
        optional: marks.contains(['?', '*']),
        repeats: marks.contains(['*', '+']),
        constant: marks.contains('!'),
    }
}

fn returned(word: &str) -> Returns {
    let number = |text: &str| {
        text.parse()
            .unwrap_or_else(|_| panic!("no argument `{text}`"))
    };
    if word == "common" || word == "wide" {
        Returns::Common
    } else if let Some(index) = word.strip_prefix("promoted") {
        Returns::Promoted(number(index))
    } else if let Some(index) = word.strip_prefix("literal") {
        Returns::Literal(number(index))
    } else if let Some(ty) = Type::from_name(word) {
        Returns::Exactly(ty)
    } else {
        Returns::Arg(number(word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_argument_finds_its_parameter() {
        let case = &Signature::parse("bool+, common+, common -> common")[0];
        for (count, expected) in [(3, true), (5, true), (4, false), (1, false)] {
            assert_eq!(case.takes(count), expected, "case of {count}");
        }
        let kinds: Vec<_> = (0..5)
            .map(|i| case.param(i, 5).expect("a parameter").accept)
            .collect();
        let bool_ = Accept::Exactly(Type::Bool);
        assert_eq!(
            kinds,
            [bool_, Accept::Common, bool_, Accept::Common, Accept::Common]
        );

        let substring = &Signature::parse("anytext, long, long? -> string")[0];
        assert!(
            substring.takes(2) && substring.takes(3) && !substring.takes(1) && !substring.takes(4)
        );
        let strcat = &Signature::parse("anytext* -> string")[0];
        assert!(strcat.takes(0) && strcat.takes(7));
    }
}
