//! Rust sources as tokens: comments, strings and lifetimes cannot be mistaken for code.

use std::path::Path;

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

use crate::error::Error;

/// Splits the text of `file` into tokens.
pub fn parse(file: &Path, text: &str) -> Result<TokenStream, Error> {
    text.parse().map_err(|error: proc_macro2::LexError| Error::Tokens {
        path: file.to_owned(),
        reason: error.to_string(),
    })
}

/// Whether the word stands anywhere in the code.
pub fn contains(tokens: TokenStream, word: &str) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == word,
        TokenTree::Group(group) => contains(group.stream(), word),
        _ => false,
    })
}

/// Names of the functions marked as tests and not as ignored, inside modules and macros too.
pub fn test_functions(tokens: TokenStream) -> Vec<String> {
    let mut names = Vec::new();
    let mut marks = Marks::default();
    let mut after_fn = false;
    for token in tokens {
        match token {
            TokenTree::Ident(name) if after_fn => {
                after_fn = false;
                if std::mem::take(&mut marks).is_run() {
                    names.push(name.to_string());
                }
            }
            TokenTree::Ident(word) => after_fn = word == "fn",
            TokenTree::Group(group) => {
                marks.read(&group);
                names.extend(test_functions(group.stream()));
            }
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
    names
}

/// The attributes seen since the last item ended.
#[derive(Default)]
struct Marks {
    test: bool,
    ignored: bool,
}

impl Marks {
    fn read(&mut self, group: &Group) {
        match group.delimiter() {
            Delimiter::Bracket => {
                self.test |= is_word(group.stream(), "test");
                self.ignored |= is_word(group.stream(), "ignore");
            }
            Delimiter::Brace => *self = Self::default(),
            Delimiter::Parenthesis | Delimiter::None => {}
        }
    }

    fn is_run(&self) -> bool {
        self.test && !self.ignored
    }
}

// `#[test]`, not `#[cfg(test)]`, whose word stands in parentheses.
fn is_word(attribute: TokenStream, word: &str) -> bool {
    attribute.into_iter().any(|token| matches!(token, TokenTree::Ident(ident) if ident == word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> TokenStream {
        parse(Path::new("fabricated.rs"), text).unwrap()
    }

    #[test]
    fn only_marked_functions_are_tests() {
        let text = r##"
            // #[test] fn commented() {}
            #[cfg(test)] mod tests {
                #[test] fn plain() { fn inner() {} }
                #[test] #[should_panic(expected = "x")] fn panics() {}
                #[test] #[ignore = "slow"] fn ignored() {}
                fn helper() { let s = "#[test] fn quoted() {}"; }
                proptest! { #[test] fn in_macro(x in 0..3) {} }
            }
        "##;
        assert_eq!(test_functions(tokens(text)), ["plain", "panics", "in_macro"]);
    }

    #[test]
    fn words_in_comments_and_strings_are_not_code() {
        assert!(!contains(
            tokens("/// unsafe\nfn f<'unsafety>() { \"unsafe\"; unsafe_code; }"),
            "unsafe"
        ));
        assert!(contains(tokens("fn f() { g(|| { unsafe { h() } }) }"), "unsafe"));
    }
}
