//! Texts that many rows share, each kept once.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::StringArray;

/// A text in [`Words`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Word(pub(super) i32);

/// All shared texts of a world.
#[derive(Debug, Clone)]
pub struct Words(Arc<StringArray>);

impl Words {
    #[must_use]
    pub fn get(&self, word: Word) -> &str {
        self.0.value(usize::try_from(word.0).unwrap_or(0))
    }

    pub(super) fn array(&self) -> &Arc<StringArray> {
        &self.0
    }
}

/// Collects [`Words`].
#[derive(Debug, Default)]
pub(super) struct Collector {
    all: Vec<String>,
    known: HashMap<String, Word>,
}

impl Collector {
    pub(super) fn word(&mut self, text: impl Into<String>) -> Word {
        let text = text.into();
        if let Some(word) = self.known.get(&text) {
            return *word;
        }
        let word = Word(i32::try_from(self.all.len()).expect("there are not so many words"));
        self.all.push(text.clone());
        self.known.insert(text, word);
        word
    }

    pub(super) fn finish(self) -> Words {
        Words(Arc::new(StringArray::from_iter_values(self.all)))
    }
}
