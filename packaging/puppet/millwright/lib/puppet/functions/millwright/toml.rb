# Settings as the text of a TOML file, in the order they are given.
#
# In Ruby: in Puppet's language each table within a table is some hundred Java frames deep, and a Puppet server that has
# just started has no room for that on its stack.
Puppet::Functions.create_function(:'millwright::toml') do
  # @param settings
  #   Keys and tables. What has no value, a key or a whole table, is left out.
  # @return The text, ending with a newline. Control characters other than tab, newline and return are refused.
  # @example
  #   millwright::toml({ 'node' => { 'class' => 'agent' } })   # [node]\nclass = "agent"\n
  dispatch :file do
    param 'Hash', :settings
  end

  def file(settings)
    table(settings, nil)
  end

  # A table and those below it; path is its name as in the file.
  def table(settings, path)
    tables, plain = settings.reject { |_, value| value.nil? }.partition { |_, value| value.is_a?(Hash) }
    # A table that only has tables needs no head of its own.
    text = path && !plain.empty? ? "\n[#{path}]\n" : ''
    # Keys first: behind the head of a table they would be that table's.
    text += plain.map { |name, value| "#{key(name)} = #{inline(value)}\n" }.join
    text + tables.map { |name, below| table(below, [path, key(name)].compact.join('.')) }.join
  end

  # Bare where it can be.
  def key(name)
    name =~ /\A[A-Za-z0-9_-]+\z/ ? name : inline(name)
  end

  # A value on one line.
  def inline(value)
    case value
    when String then quoted(value)
    when Array then "[#{value.map { |item| inline(item) }.join(', ')}]"
    when Hash
      pairs = value.reject { |_, below| below.nil? }.map { |name, below| "#{key(name)} = #{inline(below)}" }
      pairs.empty? ? '{}' : "{ #{pairs.join(', ')} }"
    else value.to_s
    end
  end

  def quoted(text)
    if text =~ /[\x00-\x08\x0B\x0C\x0E-\x1F\x7F]/
      raise Puppet::ParseError, "millwright: a control character in the setting #{text}; write it without"
    end
    escapes = { '\\' => '\\\\', '"' => '\\"', "\n" => '\\n', "\r" => '\\r', "\t" => '\\t' }
    "\"#{text.gsub(/[\\"\n\r\t]/, escapes)}\""
  end
end
