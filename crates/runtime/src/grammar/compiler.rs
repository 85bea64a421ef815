//! A vocabulary in the form llguidance needs, and the grammars compiled against it.

use std::sync::Arc;

use llguidance::api::ParserLimits;
use llguidance::earley::SlicedBiasComputer;
use llguidance::toktrie::{ApproximateTokEnv, InferenceCapabilities, TokEnv, TokRxInfo, TokTrie};
use llguidance::{Matcher, ParserFactory, panic_utils};
use mynah_text::bpe::{Kind, Tokenizer};

use super::constraint::{Constraint, Scope};
use super::error::GrammarError;
use super::kinds::Grammar;
use crate::sample::TokenMask;

/// Compiles grammars for one vocabulary. Building it sorts the vocabulary into a tree, a second or so for the largest; compiling a
/// grammar takes milliseconds.
pub struct GrammarCompiler {
    factory: ParserFactory,
    ends: Arc<[u32]>,
    /// The tokens that spell text, of as many as a model gives logits for.
    spelling: Arc<TokenMask>,
}

impl std::fmt::Debug for GrammarCompiler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GrammarCompiler").field("vocabulary", &self.spelling.size()).finish_non_exhaustive()
    }
}

impl GrammarCompiler {
    /// For a tokenizer and a model that gives `vocabulary` logits, which may be more than the tokenizer has tokens.
    ///
    /// # Errors
    /// [`GrammarError::Vocabulary`].
    pub fn new(tokenizer: &Tokenizer, vocabulary: usize) -> Result<GrammarCompiler, GrammarError> {
        let fault = |reason: String| GrammarError::Vocabulary { reason };
        if tokenizer.len() > vocabulary {
            return Err(fault(format!("{} tokens for {vocabulary} logits", tokenizer.len())));
        }
        let end = u32::try_from(vocabulary).ok().filter(|&size| size < u32::MAX);
        let end = end.ok_or_else(|| fault(format!("{vocabulary} tokens are too many")))?;
        let mut words = vec![Vec::new(); vocabulary + 1];
        let mut spelling = TokenMask::none(vocabulary);
        for (word, id) in words.iter_mut().zip(0..tokenizer.len() as u32) {
            let normal = matches!(tokenizer.kind(id), Ok(Kind::Normal));
            let bytes = tokenizer.token_bytes(id).unwrap_or_default();
            // The library keeps 0xff, which is in no UTF-8, for its own marks; its tree holds no longer words.
            if normal
                && !bytes.is_empty()
                && !bytes.contains(&TokTrie::SPECIAL_TOKEN_MARKER)
                && bytes.len() < LONGEST_TOKEN
            {
                *word = bytes.to_vec();
                spelling.allow(id);
            }
        }
        if spelling.is_empty() {
            return Err(fault("no token spells text".to_owned()));
        }
        // The library gets an end token of its own, one more than there are: a model may have several ends or none, and they are put
        // into the masks by the constraint.
        let info = TokRxInfo::new(end + 1, end);
        let limits = ParserLimits { verbose_errors: false, ..ParserLimits::default() };
        let factory = panic_utils::catch_unwind(move || {
            let trie: TokEnv = Arc::new(ApproximateTokEnv::new(TokTrie::from(&info, &words)));
            let slices = SlicedBiasComputer::general_slices();
            let mut factory = ParserFactory::new(&trie, InferenceCapabilities::default(), &slices)?;
            factory.quiet();
            *factory.limits_mut() = limits;
            Ok(factory)
        });
        let factory = factory.map_err(|error| fault(message(&error.to_string())))?;
        Ok(GrammarCompiler { factory, ends: tokenizer.ends().into(), spelling: Arc::new(spelling) })
    }

    /// The constraint of an answer that begins now.
    ///
    /// # Errors
    /// [`GrammarError::Schema`], [`GrammarError::Regex`], [`GrammarError::Lark`].
    pub fn compile(&self, grammar: &Grammar, scope: Scope) -> Result<Constraint, GrammarError> {
        let fault = |error: &dyn std::fmt::Display| grammar.fault(message(&error.to_string()));
        let top_level = grammar.top_level()?;
        let parser = std::panic::AssertUnwindSafe(|| self.factory.create_parser(top_level));
        let parser = panic_utils::catch_unwind(parser).map_err(|error| fault(&format!("{error:#}")))?;
        let mut matcher = Matcher::new(Ok(parser));
        if let Some(error) = matcher.get_error() {
            return Err(fault(&error));
        }
        let warnings = matcher.grammar_warnings().iter().map(|warning| message(warning)).collect();
        Ok(Constraint::new(matcher, scope, Arc::clone(&self.ends), Arc::clone(&self.spelling), warnings))
    }
}

/// Bytes of the longest token that is considered; vocabularies have up to 256.
const LONGEST_TOKEN: usize = 1024;

/// What the library says, without the traces it appends for its own authors.
pub(super) fn message(text: &str) -> String {
    let text = text.split("\n<").next().unwrap_or(text);
    let lines = text.lines().map(str::trim_end).filter(|line| !line.trim().is_empty());
    lines.collect::<Vec<_>>().join("\n")
}
