# @summary Words with commas between them. (`join` is Puppet's own since 5.5 only.)
#
# @param words
#   Any number of them.
# @return One text.
function millwright::commas(Array[String] $words) >> String {
  $words ? {
    Array[String, 1] => $words.reduce |$text, $word| { "${text}, ${word}" },
    default          => '',
  }
}
