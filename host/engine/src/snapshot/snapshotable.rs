//! Whether memories and globals are the whole state of a component between two calls.

use wasmparser::{CanonicalFunction, Operator, Parser, Payload, ValType};

/// Why an image of this component would not be its whole state; none when it is. A component keeps
/// what can change in memories, globals and tables, in which segments are dropped, and in handles
/// of resources: a guest that a compiler makes changes only the first two.
pub fn why_not_whole(component: &[u8]) -> Option<String> {
    Parser::new(0).parse_all(component).find_map(|payload| match payload {
        Ok(payload) => of_payload(&payload).transpose().map(|why| why.unwrap_or_else(|error| error.to_string())),
        Err(error) => Some(error.to_string()),
    })
}

fn of_payload(payload: &Payload<'_>) -> wasmparser::Result<Option<String>> {
    match payload {
        Payload::CodeSectionEntry(body) => {
            for operator in body.get_operators_reader()? {
                if let Some(name) = changes_more(&operator?) {
                    return Ok(Some(format!("it uses `{name}`, which changes more than memory and globals")));
                }
            }
        }
        Payload::GlobalSection(section) => {
            for global in section.clone() {
                let kind = global?.ty;
                if kind.mutable && matches!(kind.content_type, ValType::Ref(_)) {
                    return Ok(Some("it has a mutable global that holds a reference".to_owned()));
                }
            }
        }
        Payload::ComponentCanonicalSection(section) => {
            for function in section.clone() {
                if !matches!(function?, CanonicalFunction::Lift { .. } | CanonicalFunction::Lower { .. }) {
                    return Ok(Some("it has resources of its own".to_owned()));
                }
            }
        }
        _ => {}
    }
    Ok(None)
}

/// The name of an instruction that changes what no image holds.
fn changes_more(operator: &Operator<'_>) -> Option<&'static str> {
    Some(match operator {
        Operator::TableSet { .. } => "table.set",
        Operator::TableGrow { .. } => "table.grow",
        Operator::TableFill { .. } => "table.fill",
        Operator::TableCopy { .. } => "table.copy",
        Operator::TableInit { .. } => "table.init",
        Operator::ElemDrop { .. } => "elem.drop",
        Operator::DataDrop { .. } => "data.drop",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(body: &str) -> Option<String> {
        let text = format!(
            "(component (core module
              (table $table 2 funcref) (elem $elements func $f) (memory 1) (data $data \"x\")
              (global $global (mut i32) (i32.const 0)) (func $f {body})))"
        );
        why_not_whole(&wat::parse_str(text).expect("the text is sound"))
    }

    #[test]
    fn memory_and_globals_may_change_and_nothing_else() {
        assert_eq!(why("(global.set $global (i32.const 1)) (drop (memory.grow (i32.const 1)))"), None);
        let three = "(i32.const 0) (i32.const 0) (i32.const 0)";
        assert_eq!(why(&format!("(memory.init $data {three}) (call_indirect (i32.const 0))")), None);
        for (name, body) in [
            ("table.set", "(table.set $table (i32.const 0) (ref.null func))".to_owned()),
            ("table.grow", "(drop (table.grow $table (ref.null func) (i32.const 1)))".to_owned()),
            ("table.fill", "(table.fill $table (i32.const 0) (ref.null func) (i32.const 1))".to_owned()),
            ("table.copy", format!("(table.copy {three})")),
            ("table.init", format!("(table.init $elements {three})")),
            ("elem.drop", "(elem.drop $elements)".to_owned()),
            ("data.drop", "(data.drop $data)".to_owned()),
        ] {
            assert_eq!(why(&body), Some(format!("it uses `{name}`, which changes more than memory and globals")));
        }
        let global = "(global (mut funcref) (ref.null func))";
        assert!(why(&format!(") {global} (func")).is_some_and(|why| why.contains("holds a reference")));
    }

    #[test]
    fn handles_of_resources_are_state() {
        let text = "(component (type $it (resource (rep i32))) (core func (canon resource.new $it)))";
        let why = why_not_whole(&wat::parse_str(text).expect("the text is sound"));
        assert!(why.is_some_and(|why| why.contains("resources of its own")));
    }
}
