//! Tables without lines, of which some columns are aligned to the right.

use comfy_table::{CellAlignment, Table, presets};

pub(crate) fn table(header: impl IntoIterator<Item = String>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(header);
    table
}

pub(crate) fn align(table: &mut Table, is_right: impl Fn(usize) -> bool) {
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if is_right(index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

/// The table without blanks at the ends of its lines.
pub(crate) fn text(table: &Table) -> String {
    table.to_string().lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}
