//! What differs beside the reach itself: guards, what runs and how it is set, names and files.

use std::collections::BTreeSet;

use super::change::{Change, Direction, Entry, Topic, change, gain, loss};
use super::reach::Reach;
use super::settings::told;
use crate::text::diagnostic::Code;
use crate::value::isolation::{Guard, Purpose};

pub(super) fn guards(found: &mut Vec<Change>, old: &Reach, new: &Reach) {
    for Guard { invariant, purpose, satisfied } in &new.guards {
        let Some(before) = old.guards.iter().find(|guard| guard.invariant == *invariant) else { continue };
        match (before.satisfied, satisfied) {
            (true, false) => {
                let code = match purpose {
                    Purpose::Enforce => Code::WallDown,
                    Purpose::Scan => Code::ScannerOff,
                };
                gain(found, Topic::Guard(invariant), code, None, format!("guard no longer holds: {invariant}"));
            }
            (false, true) => loss(found, Topic::Guard(invariant), None, format!("guard holds again: {invariant}")),
            _ => {}
        }
    }
}

pub(super) fn parts(found: &mut Vec<Change>, old: &Reach, new: &Reach) {
    let names: BTreeSet<&String> = old.parts.keys().chain(new.parts.keys()).collect();
    for name in names {
        let (before, after) = match (old.parts.get(name), new.parts.get(name)) {
            (Some(before), Some(after)) => (before, after),
            (before, _) => {
                let what = if before.is_some() { "was removed" } else { "was added" };
                let topic = Topic::Part(name.clone());
                found.push(change(topic, Direction::Other, Code::SameReach, format!("`{name}` {what}")));
                continue;
            }
        };
        if before.image != after.image {
            let shown = |image: &Option<String>| image.clone().unwrap_or_default();
            let message = format!("`{name}` runs {}, not {}", shown(&after.image), shown(&before.image));
            let entry = new.at_image(name);
            let topic = Topic::Image(name.clone());
            found.push(Change { entry, ..change(topic, Direction::Other, Code::OtherImage, message) });
        }
        let pointers: BTreeSet<&String> = before.settings.keys().chain(after.settings.keys()).collect();
        for pointer in pointers {
            let (was, is) = (before.settings.get(pointer), after.settings.get(pointer));
            if was != is {
                let message = format!("`{}` {}", after.file, told(pointer, was, is));
                let topic = Topic::Setting(name.clone(), pointer.clone());
                let entry = Some(Entry { file: after.file, pointer: pointer.clone() });
                let is_gone = is.is_none();
                found.push(Change { entry, is_gone, ..change(topic, Direction::Other, Code::OtherSetting, message) });
            }
        }
    }
}

pub(super) fn rest(found: &mut Vec<Change>, old: &Reach, new: &Reach) {
    let mut info = |topic, entry, message| {
        found.push(Change { entry, ..change(topic, Direction::Other, Code::SameReach, message) });
    };
    if old.name != new.name {
        info(Topic::Name, new.at_name(), format!("the bottle is named `{}`, not `{}`", new.name, old.name));
    }
    if old.subnet != new.subnet {
        info(Topic::Subnet, new.at_subnet(), format!("the network is {}, not {}", new.subnet, old.subnet));
    }
    if !old.is_of_other_account(new) {
        let paths: BTreeSet<&String> = old.home.keys().chain(new.home.keys()).collect();
        for path in paths {
            let what = match (old.home.get(path), new.home.get(path)) {
                (None, Some(_)) => "was added",
                (Some(_), None) => "was removed",
                (before, after) if before != after => "has changed",
                _ => continue,
            };
            info(Topic::HomeFile(path.clone()), None, format!("`{path}` {what}"));
        }
    }
}
