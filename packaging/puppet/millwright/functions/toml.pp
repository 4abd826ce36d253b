# @summary Settings as the text of a TOML file, in the order they are given.
#
# @param settings
#   Keys and tables. What has no value, a key or a whole table, is left out.
# @param path
#   The table these settings are in, written as in the file. For its own use.
# @return The text, ending with a newline.
# @example
#   millwright::toml({ 'node' => { 'class' => 'agent' } })   # [node]\nclass = "agent"\n
function millwright::toml(Millwright::Settings $settings, String $path = '') >> String {
  $plain = $settings.filter |$pair| { $pair[1] =~ NotUndef and $pair[1] !~ Hash }
  $tables = $settings.filter |$pair| { $pair[1] =~ Hash }

  # A table that only has tables needs no head of its own.
  $has_head = $path != '' and $plain != {}
  $head = $has_head ? {
    true    => "\n[${path}]\n",
    default => '',
  }
  # Keys first: behind the head of a table they would be that table's.
  $keys = $plain.reduce('') |$text, $pair| {
    "${text}${millwright::toml_key($pair[0])} = ${millwright::toml_value($pair[1])}\n"
  }
  $rest = $tables.reduce('') |$text, $pair| {
    $key = millwright::toml_key($pair[0])
    $below = $path ? {
      ''      => $key,
      default => "${path}.${key}",
    }
    "${text}${millwright::toml($pair[1], $below)}"
  }
  "${head}${keys}${rest}"
}
