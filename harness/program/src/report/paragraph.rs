//! Text for people, broken at blanks.

/// A text in lines of at most so many columns, each indented.
pub(crate) fn indent(text: &str, by: usize, width: usize) -> String {
    let options = textwrap::Options::new(width.max(by + 20))
        .break_words(false)
        // Addresses and paths stay whole.
        .word_separator(textwrap::WordSeparator::AsciiSpace)
        .word_splitter(textwrap::WordSplitter::NoHyphenation);
    let blank = " ".repeat(by);
    textwrap::fill(text, options.initial_indent(&blank).subsequent_indent(&blank))
}
