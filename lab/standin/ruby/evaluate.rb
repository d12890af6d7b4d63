# frozen_string_literal: true

# Lab stand-in, not GitLab.
#
# Evaluates gitlab.rb as the package does: the file is plain Ruby in which every registered top-level
# name is a method, and a name that isn't registered is an error. Reads a request from standard input,
# writes the resulting settings (or where the evaluation failed) as JSON to standard output. What
# gitlab.rb itself prints goes to standard error, so that it can't spoil the answer.

require 'json'

answer = $stdout.dup
$stdout.reopen($stderr)
request = JSON.parse($stdin.read)

# A hash whose keys are strings whichever way they were written, and in which a missing key becomes a
# hash, because `gitlab_rails['object_store']['enabled'] = true` has to work on an empty file.
class Section < Hash
  def initialize
    super { |section, key| section[key] = Section.new }
  end

  def self.wrap(value)
    case value
    when Section then value
    when Hash then value.each_with_object(new) { |(key, inner), section| section[key] = inner }
    when Array then value.map { |inner| wrap(inner) }
    else value
    end
  end

  def [](key) = super(key.to_s)
  def []=(key, value)
    super(key.to_s, Section.wrap(value))
  end
  alias store []=
  def key?(key) = super(key.to_s)
  alias has_key? key?
  alias include? key?
  def fetch(key, *rest, &block) = super(key.to_s, *rest, &block)
  def delete(key) = super(key.to_s)
  def merge!(other)
    other.each { |key, value| self[key] = value }
    self
  end
  alias update merge!
  def merge(other) = Section.wrap(to_h).merge!(other)
  def dig(key, *rest)
    return nil unless key?(key)

    rest.empty? ? self[key] : self[key]&.dig(*rest)
  end
end

class UnknownSetting < StandardError; end
class WrongShape < StandardError; end

# The object in which gitlab.rb runs.
class Recipe
  def initialize(sections, scalars)
    @values = {}
    sections.each do |name|
      @values[name] = Section.new
      define_singleton_method(name) do |*given|
        given.empty? || raise(WrongShape, "`#{name}` holds settings by key: write #{name}['key'] = value")
        @values[name]
      end
    end
    scalars.each do |name|
      define_singleton_method(name) do |*given|
        @values[name] = given.length == 1 ? given.first : given unless given.empty?
        @values[name]
      end
    end
  end

  def settings = @values

  def from_file(path)
    instance_eval(File.read(path), path, 1)
  end

  def method_missing(name, *given)
    verb = given.empty? ? 'Reading' : 'Cannot set'
    raise UnknownSetting, "#{verb} unsupported config value #{name}."
  end

  def respond_to_missing?(*) = false
end

def plain(value)
  case value
  when Hash then value.to_h { |key, inner| [key.to_s, plain(inner)] }
  when Array then value.map { |inner| plain(inner) }
  when nil, true, false, Integer, String then value
  when Float then value.finite? ? value : value.to_s
  else value.to_s
  end
end

def place(error, path)
  known = (error.backtrace_locations || []).find { |step| step.absolute_path == path || step.path == path }
  return [known.path, known.lineno] if known

  written = error.message.match(/\A(?<file>[^:\n]+):(?<line>\d+):/)
  written ? [written[:file], written[:line].to_i] : [path, nil]
end

path = request.fetch('path')
recipe = Recipe.new(request.fetch('sections'), request.fetch('scalars'))
begin
  recipe.from_file(path)
  answer.write(JSON.generate('settings' => plain(recipe.settings)))
rescue Exception => e # rubocop:disable Lint/RescueException -- `exit` and syntax errors in gitlab.rb count too
  file, line = place(e, path)
  kind = case e
         when UnknownSetting then 'unknown'
         when WrongShape then 'shape'
         when SyntaxError then 'syntax'
         else 'runtime'
         end
  message = e.message.dup.force_encoding('UTF-8').scrub
  answer.write(JSON.generate('error' => { 'kind' => kind, 'class' => e.class.name, 'message' => message,
                                          'file' => file, 'line' => line }))
end
