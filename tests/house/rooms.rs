//! The map of CONTRIBUTING.md stays true: each room of `src` imports from floors below its own and from nowhere else,
//! and no two files import each other, however long the way round.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use syn::visit::Visit;

/// The floors, lowest first. A room is a folder or a file of `src`.
const FLOORS: &[&[&str]] = &[
    &["error", "clock"],
    &["environment", "host"],
    &["secret", "scope", "telemetry"],
    &["wire", "cache"],
    &["transport"],
    &["authn"],
    &["config", "token"],
    &["service"],
    &["aliyun"],
    &["client"],
];

/// The path of a module from the crate's root; empty for the root itself.
type Module = Vec<String>;

/// What one file imports, as absolute paths of items.
#[derive(Default)]
struct Imports {
    paths: Vec<Module>,
    /// Names that the module hands on, and where they are from.
    reexports: BTreeMap<String, Module>,
}

#[test]
fn imports_go_down_and_never_round() {
    let files = files();
    let imports: BTreeMap<&Module, Imports> =
        files.iter().map(|(module, path)| (module, imports_of(module, path, &files))).collect();

    let mut arrows: BTreeMap<&Module, BTreeSet<Module>> = BTreeMap::new();
    for (module, found) in &imports {
        if module.is_empty() {
            continue; // the root names every room: that is what it is for
        }
        for path in &found.paths {
            let target = definition(path, &imports, &files);
            let hands_on = target.starts_with(module) && found.reexports.values().any(|from| from == path);
            if target != **module && !target.is_empty() && !hands_on {
                arrows.entry(module).or_default().insert(target);
            }
        }
    }

    let mut faults = Vec::new();
    for (from, targets) in &arrows {
        for to in targets.iter().filter(|to| to[0] != from[0]) {
            if floor(&to[0]) >= floor(&from[0]) {
                faults.push(format!(
                    "{} imports from {}, which is no floor below",
                    from.join("/"),
                    to.join("/")
                ));
            }
        }
    }
    for start in arrows.keys() {
        if let Some(circle) = circle_through(start, &arrows) {
            faults.push(format!("a circle of files: {}", circle.join(" -> ")));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

fn floor(room: &str) -> usize {
    FLOORS
        .iter()
        .position(|rooms| rooms.contains(&room))
        .unwrap_or_else(|| panic!("`{room}` is no room of the map; add it, to CONTRIBUTING.md as well"))
}

/// Every module with a file of its own, tests aside.
fn files() -> BTreeMap<Module, PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = BTreeMap::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
            if path.is_dir() {
                if stem != "tests" {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|ending| ending == "rs") && stem != "tests" {
                let mut module: Module = path
                    .strip_prefix(&root)
                    .unwrap()
                    .with_extension("")
                    .iter()
                    .map(|part| part.to_str().unwrap().to_owned())
                    .collect();
                if ["mod", "lib"].contains(&stem.as_str()) {
                    module.pop();
                }
                files.insert(module, path);
            }
        }
    }
    files
}

fn imports_of(module: &Module, path: &Path, files: &BTreeMap<Module, PathBuf>) -> Imports {
    let file = syn::parse_file(&std::fs::read_to_string(path).unwrap()).unwrap();
    let mut reader = Reader {
        at: module.clone(),
        own: module,
        files,
        imports: Imports::default(),
        modules: BTreeMap::new(),
    };
    reader.visit_file(&file);
    reader.imports
}

struct Reader<'a> {
    /// The module that is read, inline ones included.
    at: Module,
    own: &'a Module,
    files: &'a BTreeMap<Module, PathBuf>,
    imports: Imports,
    /// Modules in scope by a name of their own.
    modules: BTreeMap<String, Module>,
}

impl Reader<'_> {
    /// The path from the root; `None` for one that leads to another crate or stays in this module.
    fn absolute(&self, segments: &[String]) -> Option<Module> {
        let first = segments.first()?;
        let (mut base, mut rest) = match first.as_str() {
            "crate" => (Vec::new(), &segments[1..]),
            "self" => (self.at.clone(), &segments[1..]),
            "super" => (self.at.clone(), segments),
            name => {
                let child: Module = self.own.iter().cloned().chain([name.to_owned()]).collect();
                let base = self.modules.get(name).cloned();
                (base.or_else(|| self.files.contains_key(&child).then_some(child))?, &segments[1..])
            }
        };
        while rest.first().is_some_and(|segment| segment == "super") {
            base.pop();
            rest = &rest[1..];
        }
        base.extend(rest.iter().filter(|segment| *segment != "self").cloned());
        Some(base)
    }

    fn read_use(&mut self, prefix: &mut Module, tree: &syn::UseTree, hands_on: bool) {
        match tree {
            syn::UseTree::Path(path) => {
                prefix.push(path.ident.to_string());
                self.read_use(prefix, &path.tree, hands_on);
                prefix.pop();
            }
            syn::UseTree::Group(group) => {
                group.items.iter().for_each(|item| self.read_use(prefix, item, hands_on));
            }
            syn::UseTree::Name(name) => self.note(prefix, &name.ident, &name.ident, hands_on),
            syn::UseTree::Rename(rename) => self.note(prefix, &rename.ident, &rename.rename, hands_on),
            syn::UseTree::Glob(_) => {
                let path = self.absolute(prefix);
                self.imports.paths.extend(path);
            }
        }
    }

    fn note(&mut self, prefix: &[String], name: &syn::Ident, alias: &syn::Ident, hands_on: bool) {
        let segments: Module = prefix.iter().cloned().chain([name.to_string()]).collect();
        let Some(path) = self.absolute(&segments) else { return };
        let alias = if name == "self" { path.last().cloned().unwrap_or_default() } else { alias.to_string() };
        if self.files.contains_key(&path) {
            self.modules.insert(alias.clone(), path.clone());
        }
        if hands_on {
            self.imports.reexports.insert(alias, path.clone());
        }
        self.imports.paths.push(path);
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        let attributes = match item {
            syn::Item::Mod(item) => &item.attrs,
            syn::Item::Use(item) => &item.attrs,
            syn::Item::Fn(item) => &item.attrs,
            syn::Item::Impl(item) => &item.attrs,
            _ => return syn::visit::visit_item(self, item),
        };
        if !attributes.iter().any(is_for_tests) {
            syn::visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if item.content.is_some() {
            self.at.push(item.ident.to_string());
            syn::visit::visit_item_mod(self, item);
            self.at.pop();
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let hands_on = !matches!(item.vis, syn::Visibility::Inherited);
        self.read_use(&mut Vec::new(), &item.tree, hands_on);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Module = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if segments.len() > 1 {
            let path = self.absolute(&segments);
            self.imports.paths.extend(path);
        }
        syn::visit::visit_path(self, path);
    }
}

/// `#[cfg(test)]`, alone or among other conditions; not `#[cfg(not(test))]`.
fn is_for_tests(attribute: &syn::Attribute) -> bool {
    use quote::ToTokens;

    let text = attribute.to_token_stream().to_string().replace(' ', "");
    attribute.path().is_ident("cfg")
        && (text.contains("(test") || text.contains(",test"))
        && !text.contains("not(")
}

/// The module that defines the item at this path, through re-exports.
fn definition(
    path: &[String],
    imports: &BTreeMap<&Module, Imports>,
    files: &BTreeMap<Module, PathBuf>,
) -> Module {
    let mut path = path.to_vec();
    for _ in 0..8 {
        let depth = (0..=path.len()).rev().find(|depth| files.contains_key(&path[..*depth])).unwrap_or(0);
        let (module, rest) = path.split_at(depth);
        let module = module.to_vec();
        let from = rest.first().and_then(|item| imports.get(&module)?.reexports.get(item));
        match from {
            Some(from) if *from != path => path = from.iter().chain(&rest[1..]).cloned().collect(),
            _ => return module,
        }
    }
    Vec::new()
}

/// The way from a file back to itself, if there is one.
fn circle_through(start: &Module, arrows: &BTreeMap<&Module, BTreeSet<Module>>) -> Option<Vec<String>> {
    let mut ways: Vec<Vec<&Module>> = vec![vec![start]];
    let mut seen = BTreeSet::new();
    while let Some(way) = ways.pop() {
        for next in arrows.get(way[way.len() - 1]).into_iter().flatten() {
            if next == start {
                return Some(way.iter().copied().chain([next]).map(|module| module.join("/")).collect());
            }
            if seen.insert(next) {
                ways.push(way.iter().copied().chain([next]).collect());
            }
        }
    }
    None
}
