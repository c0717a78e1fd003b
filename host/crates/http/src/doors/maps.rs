//! The maps that requests name, each parsed once.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use intake::Map;
use intake::map::shipped;

/// The map of this program with this name.
pub fn named(name: &str) -> Option<Arc<Map>> {
    static MAPS: OnceLock<BTreeMap<&'static str, Arc<Map>>> = OnceLock::new();
    let maps = MAPS.get_or_init(|| {
        let maps = shipped()
            .iter()
            .map(|shipped| (shipped.name, Arc::new(shipped.map())));
        maps.collect()
    });
    maps.get(name).cloned()
}

/// For events whose `data` is an outcome of our own shape, whatever their type.
pub fn data_of_events() -> Arc<Map> {
    static MAP: OnceLock<Arc<Map>> = OnceLock::new();
    let parsed = || {
        let text = "schema = 1\nsource = \"cloudevents\"\n[[record]]\ndocument = \"/data\"\n";
        Arc::new(Map::parse(text).expect("a fixed map is valid"))
    };
    MAP.get_or_init(parsed).clone()
}

/// The names of all maps.
pub fn names() -> String {
    let names: Vec<_> = shipped().iter().map(|shipped| shipped.name).collect();
    names.join(", ")
}
