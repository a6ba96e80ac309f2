//! Hosts of package registries and of what they point to, as their tools were seen to call them (2026-11). With any of
//! them opened by pipelock 2.3.0 no install ended: wheels' names pass for smuggled data, compressed requests and answers
//! over its limit are refused, and scanning takes longer than the tools wait.

use crate::value::host::Host;

/// By ecosystem. Hosts where anybody can publish below a path of their own are left out.
const HOSTS: [&[&str]; 8] = [
    // node
    &["registry.npmjs.org", "registry.yarnpkg.com", "repo.yarnpkg.com", "nodejs.org", "npm.jsr.io", "jsr.io"],
    // python
    &["pypi.org", "files.pythonhosted.org"],
    // rust
    &["index.crates.io", "static.crates.io", "crates.io", "static.rust-lang.org"],
    // go
    &["proxy.golang.org", "sum.golang.org"],
    // java
    &[
        "repo.maven.apache.org",
        "repo1.maven.org",
        "plugins.gradle.org",
        "plugins-artifacts.gradle.org",
        "services.gradle.org",
        "downloads.gradle.org",
    ],
    // ruby
    &["rubygems.org", "index.rubygems.org"],
    // debian
    &["deb.debian.org", "security.debian.org"],
    // archives and large files of git repositories
    &[
        "codeload.github.com",
        "release-assets.githubusercontent.com",
        "objects.githubusercontent.com",
        "github-cloud.githubusercontent.com",
    ],
];

/// Whether package tools fetch from the host.
pub(crate) fn is_known(host: &Host) -> bool {
    HOSTS.iter().any(|hosts| hosts.contains(&host.as_str()))
}
