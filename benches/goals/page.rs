//! What the page about performance has from here: the tables, each between two markers, and the plot.

use std::fs;

use crate::programs::root;

/// Writes a text between `<!-- NAME -->` and `<!-- end of NAME -->`.
pub(crate) fn write(name: &str, text: &str) {
    let path = root().join("docs/performance.md");
    let page = fs::read_to_string(&path).expect("the page");
    let (start, end) = (format!("<!-- {name} -->\n"), format!("<!-- end of {name} -->"));
    let (before, rest) = page.split_once(&start).expect("the first marker");
    let (_, after) = rest.split_once(&end).expect("the second marker");
    fs::write(&path, format!("{before}{start}{text}{end}{after}")).expect("the page can be written");
    println!("written: docs/performance.md, {name}");
}

pub(crate) fn write_plot(svg: &str) {
    let folder = root().join("docs/performance");
    fs::create_dir_all(&folder).expect("the folder can be made");
    fs::write(folder.join("growth.svg"), svg).expect("the plot can be written");
    println!("written: docs/performance/growth.svg");
}
