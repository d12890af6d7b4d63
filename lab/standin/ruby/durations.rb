# frozen_string_literal: true

# Lab stand-in, not GitLab.
#
# Spans of time as documented snippets write them: 365.days.from_now, 1.week.ago, Date.tomorrow, Time.current.

require 'date'

# A span of time, in seconds.
class Duration < Numeric
  include Comparable

  attr_reader :seconds

  def initialize(seconds)
    super()
    @seconds = seconds
  end

  def from_now = Time.now.utc + seconds
  def ago = Time.now.utc - seconds
  alias since from_now
  def in_days = seconds / 86_400.0
  def to_i = seconds.to_i
  def to_f = seconds.to_f
  def to_r = seconds.to_r
  def +(other) = Duration.new(seconds + other.to_r)
  def -(other) = Duration.new(seconds - other.to_r)
  def *(other) = Duration.new(seconds * other)
  def <=>(other) = to_r <=> other.to_r
  def coerce(other) = [other, seconds]
  def inspect = "#{seconds} seconds"
end

# Numbers that become spans of time.
class Integer
  { second: 1, minute: 60, hour: 3600, day: 86_400, week: 604_800, month: 2_629_746, year: 31_556_952 }.each do |name, seconds|
    define_method(name) { Duration.new(self * seconds) }
    alias_method :"#{name}s", name
  end
end

# Dates count in days, and take a span of time as well.
module DatesTakeDurations
  def +(other) = other.is_a?(Duration) ? super(other.in_days.to_i) : super
  def -(other) = other.is_a?(Duration) ? super(other.in_days.to_i) : super
end

class Date
  prepend DatesTakeDurations

  def self.current = Time.now.utc.to_date
  def self.tomorrow = current + 1
  def self.yesterday = current - 1
end

class Time
  def self.current = now.utc
end

# What snippets ask of anything.
class Object
  def blank? = respond_to?(:empty?) ? !!empty? : !self
  def present? = !blank?
  def presence = (self if present?)
end
