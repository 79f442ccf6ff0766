//! Whether memories and globals are all the state that a component has between two calls.

use wasmparser::{CanonicalFunction, Operator, Parser, Payload, ValType};

/// Why an image of this component would not be its whole state; none when it is. A component keeps what can change in
/// memories, globals and tables, in which segments are dropped, and in handles of resources: a guest that a compiler makes
/// changes only the first two.
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
