# @summary Settings over others, table by table.
#
# @param under
#   What holds where the others say nothing.
# @param over
#   What wins. A list replaces a list.
# @return Both together.
function millwright::merged(Millwright::Settings $under, Millwright::Settings $over) >> Millwright::Settings {
  $over.reduce($under) |$all, $pair| {
    $key = $pair[0]
    $value = $pair[1]
    $are_tables = $value =~ Hash and $all[$key] =~ Hash
    $merged = $are_tables ? {
      true    => millwright::merged($all[$key], $value),
      default => $value,
    }
    $all + { $key => $merged }
  }
}
