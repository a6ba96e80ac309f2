//! The least that any program could do: `goals` compares bottlec with it. Built in the same profile.
//!
//!     floor read MANIFEST                        reads the manifest
//!     floor compare MANIFEST SUM FILE...         reads the manifest and the files, and compares the files
//!     floor write MANIFEST FOLDER PATH:BYTES...  reads the manifest and writes the files, each beside its
//!                                                place and renamed there
//!     floor sum FILE...                          prints the sum that `compare` wants

use std::fs;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let is_done = match arguments.as_slice() {
        ["read", manifest] => !read(manifest).is_empty(),
        ["compare", manifest, expected, files @ ..] => {
            !read(manifest).is_empty() && expected.parse() == Ok(total(files))
        }
        ["write", manifest, folder, files @ ..] => !read(manifest).is_empty() && write(Path::new(folder), files),
        ["sum", files @ ..] => {
            println!("{}", total(files));
            true
        }
        _ => false,
    };
    ExitCode::from(u8::from(!is_done))
}

fn read(path: &str) -> Vec<u8> {
    fs::read(path).expect("the file can be read")
}

/// What stands for a comparison with bytes in memory: it touches each byte once, and costs no more.
fn total(files: &[&str]) -> u64 {
    files.iter().map(|path| sum(&read(path))).fold(0, u64::wrapping_add)
}

fn sum(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let words = words.iter().map(|word| u64::from_le_bytes(*word));
    words.chain(rest.iter().copied().map(u64::from)).fold(0, u64::wrapping_add)
}

fn write(folder: &Path, files: &[&str]) -> bool {
    let mut made: Vec<&Path> = Vec::new();
    for file in files {
        let Some((path, bytes)) = file.rsplit_once(':') else { return false };
        let content = vec![b'x'; bytes.parse().expect("a number of bytes")];
        let path = Path::new(path);
        let parent = path.parent().expect("a path of a file");
        if !made.contains(&parent) {
            fs::create_dir_all(folder.join(parent)).expect("the folder can be made");
            made.push(parent);
        }
        let temporary = folder.join(path.with_extension("new"));
        fs::write(&temporary, content).expect("the file can be written");
        fs::rename(&temporary, folder.join(path)).expect("the file can be renamed");
    }
    true
}
