//! The goals for speed and memory, measured, in one table; ends with 1 if one is missed.
//!
//!     cargo bench --locked --bench goals                       all of it
//!     cargo bench --locked --bench goals -- --only check,disk  some rows, by name
//!     cargo bench --locked --bench goals -- --write --plot     and writes the table and the plot of docs/performance.md
//!     benches/peers                                   installs the other programs and compares `check` with them

mod batch;
mod cores;
mod growth;
mod page;
mod pairs;
mod peers;
mod plot;
mod programs;
mod row;
mod single;

use std::process::ExitCode;

use row::Row;

struct Options {
    only: Option<Vec<String>>,
    write: bool,
    plot: bool,
    peers: bool,
}

impl Options {
    fn read() -> Result<Options, String> {
        let mut options = Options { only: None, write: false, plot: false, peers: false };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                // cargo says this.
                "--bench" => {}
                "--write" => options.write = true,
                "--plot" => options.plot = true,
                "--peers" => options.peers = true,
                "--only" => {
                    let names = arguments.next().ok_or("--only wants names of rows")?;
                    let names: Vec<String> = names.split(',').map(str::to_owned).collect();
                    let unknown = names.iter().find(|name| !ROWS.contains(&name.as_str()));
                    unknown.map_or(Ok(()), |name| Err(format!("no row `{name}`; there are {}", ROWS.join(", "))))?;
                    options.only = Some(names);
                }
                other => {
                    return Err(format!("unknown argument `{other}`; benches/goals/main.rs has those that there are"));
                }
            }
        }
        Ok(options)
    }

    fn wants(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only.iter().any(|one| one == name))
    }
}

/// The names of the rows, in the order of the table.
const ROWS: [&str; 10] = ["build", "static", "write", "check", "peers", "memory", "disk", "cores", "peak", "growth"];

fn main() -> ExitCode {
    let options = match Options::read() {
        Ok(options) => options,
        Err(problem) => {
            eprintln!("goals: {problem}");
            return ExitCode::from(2);
        }
    };
    if options.peers {
        return peers::compare(options.write);
    }
    let rows = measure(&options);
    let mut table = row::table(&rows);
    let left_out: Vec<&str> = ROWS.into_iter().filter(|name| !options.wants(name)).collect();
    if !left_out.is_empty() {
        table += &format!("\nLeft out of this run: {}.\n", left_out.join(", "));
    }
    println!("\n{table}");
    if options.write {
        page::write("goals", &table);
    }
    let missed: Vec<&str> = rows.iter().filter(|row| row.is_missed()).map(|row| row.name).collect();
    let unknown: Vec<&str> = rows.iter().filter(|row| row.measured.is_err()).map(|row| row.name).collect();
    println!(
        "{} reached, {} missed ({}), {} not measured ({})",
        rows.len() - missed.len() - unknown.len(),
        missed.len(),
        missed.join(", "),
        unknown.len(),
        unknown.join(", ")
    );
    ExitCode::from(u8::from(!missed.is_empty()))
}

fn measure(options: &Options) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut add = |name, measured: &mut dyn FnMut() -> Row| {
        if options.wants(name) {
            eprintln!("measuring: {name}");
            rows.push(measured());
        }
    };
    let single = single::Single::new();
    add("build", &mut || single.build());
    add("static", &mut || single.build_static());
    add("write", &mut || single.write());
    add("check", &mut || single.check());
    add("peers", &mut peers::row);
    add("memory", &mut batch::in_memory);
    let disk = ["disk", "peak", "growth"].iter().any(|name| options.wants(name)).then(batch::OnDisk::new);
    let disk = disk.as_ref();
    add("disk", &mut || disk.expect("it was made").unchanged());
    add("cores", &mut cores::two_over_one);
    add("peak", &mut || disk.expect("it was made").peak());
    add("growth", &mut || {
        let curves = growth::measure(disk.expect("it was made"));
        if options.plot {
            page::write_plot(&plot::draw(&curves));
        }
        growth::row(&curves)
    });
    rows
}
