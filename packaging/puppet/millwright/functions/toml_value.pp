# @summary A value as TOML has it, on one line.
#
# @param value
#   Text, a number, a truth value, a list, or a table (`{ mount = "/build" }`).
# @return The text. Control characters other than tab, newline and return are refused.
function millwright::toml_value(Millwright::Value $value) >> String {
  case $value {
    String: {
      if $value =~ /[\x00-\x08\x0B\x0C\x0E-\x1F\x7F]/ {
        fail("millwright: a control character in the setting ${value}; write it without")
      }
      # The backslash first, or those of the others would be doubled.
      $slashes = regsubst($value, '\\\\', '\\\\\\\\', 'G')
      $quotes = regsubst($slashes, '"', '\\\\"', 'G')
      $newlines = regsubst($quotes, '\n', '\\\\n', 'G')
      $returns = regsubst($newlines, '\r', '\\\\r', 'G')
      $tabs = regsubst($returns, '\t', '\\\\t', 'G')
      "\"${tabs}\""
    }
    Array: {
      $items = $value.map |$item| { millwright::toml_value($item) }
      "[${millwright::commas($items)}]"
    }
    Hash: {
      $set = $value.filter |$pair| { $pair[1] =~ NotUndef }
      $items = $set.map |$pair| { "${millwright::toml_key($pair[0])} = ${millwright::toml_value($pair[1])}" }
      $items ? {
        Array[String, 1] => "{ ${millwright::commas($items)} }",
        default          => '{}',
      }
    }
    default: { sprintf('%s', $value) }
  }
}
