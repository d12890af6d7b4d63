# frozen_string_literal: true

# Lab stand-in, not GitLab.
#
# The few models that documented snippets use: users and their personal access tokens. They ask the database
# through one child process, a line of JSON for a line of JSON, so that neither a password nor a token is ever an
# argument. What isn't here raises NoMethodError, as an unknown method of Rails does.

require 'json'
require 'securerandom'
require_relative 'durations'

module ActiveRecord
  class ActiveRecordError < StandardError; end
  class ConnectionNotEstablished < ActiveRecordError; end
  class StatementInvalid < ActiveRecordError; end
  class RecordNotFound < ActiveRecordError; end
  class RecordNotUnique < ActiveRecordError; end

  class RecordInvalid < ActiveRecordError
    attr_reader :record

    def initialize(record)
      @record = record
      super("Validation failed: #{record.errors.full_messages.join(', ')}")
    end
  end
end

# The database, behind a pipe.
module Records
  PROGRAM = ENV.fetch('GITLAB_STANDIN', '/opt/gitlab/embedded/bin/gitlab-standin')

  def self.ask(question)
    @pipe ||= IO.popen([PROGRAM, 'records'], 'r+')
    @pipe.puts(JSON.generate(question))
    line = @pipe.gets or raise ActiveRecord::ConnectionNotEstablished, 'the database does not answer'
    answer = JSON.parse(line)
    failure = answer['error']
    raise ActiveRecord.const_get(failure.fetch('class')), failure.fetch('message') if failure

    answer.fetch('rows')
  end
end

# What a record lacks, by attribute.
class Errors
  include Enumerable

  def initialize = @found = []
  def add(attribute, message) = @found << [attribute, message]
  def clear = @found.clear
  def empty? = @found.empty?
  def any? = !empty?
  def each(&block) = full_messages.each(&block)
  def [](attribute) = @found.select { |name, _| name == attribute }.map(&:last)

  def full_messages
    @found.map { |attribute, message| "#{attribute.to_s.tr('_', ' ').capitalize} #{message}" }
  end
end

# Records of one kind that fulfil conditions.
class Relation
  include Enumerable

  def initialize(model, conditions = {})
    @model = model
    @conditions = conditions
  end

  def where(conditions = {}) = self.class.new(@model, @conditions.merge(conditions.transform_keys(&:to_s)))
  def find_by(conditions) = where(conditions).first
  def to_a = Records.ask('table' => @model.table, 'where' => plain).map { |row| @model.new(row) }
  alias all itself
  alias to_ary to_a
  def each(&block) = to_a.each(&block)
  alias find_each each
  def last = to_a.last
  def size = to_a.size
  alias length size
  def empty? = to_a.empty?
  def exists?(conditions = {}) = !where(conditions).empty?
  def ids = map(&:id)
  def inspect = "#<#{@model.name} #{to_a.inspect}>"

  def pluck(*names)
    map { |record| names.length == 1 ? record.public_send(names.first) : names.map { |name| record.public_send(name) } }
  end

  def find_by!(conditions)
    find_by(conditions) or raise ActiveRecord::RecordNotFound, "Couldn't find #{@model.name}"
  end

  def new(attributes = {}) = @model.new(@conditions.merge(attributes.transform_keys(&:to_s)))
  alias build new
  def create(attributes = {}) = new(attributes).tap(&:save)
  def create!(attributes = {}) = new(attributes).tap(&:save!)
  def active = where('active' => true)

  private

  def plain = @conditions.transform_values { |value| value.is_a?(Symbol) ? value.to_s : value }
end

# What all models share.
class Record
  attr_reader :errors

  class << self
    attr_reader :table

    def stored_in(table, *attributes)
      @table = table
      attributes.each { |name| define_method(name) { @values[name.to_s] } }
    end

    def all = Relation.new(self)
    def where(conditions = {}) = all.where(conditions)
    def find_by(conditions) = all.find_by(conditions)
    def find_by!(conditions) = all.find_by!(conditions)
    def first = all.first
    def last = all.last
    def count = all.count
    def exists?(conditions = {}) = all.exists?(conditions)
    def find_each(&block) = all.each(&block)
    def pluck(*names) = all.pluck(*names)

    def find(id)
      find_by(id: id) or raise ActiveRecord::RecordNotFound, "Couldn't find #{name} with 'id'=#{id}"
    end
  end

  def initialize(values = {})
    @values = values.transform_keys(&:to_s)
    @errors = Errors.new
  end

  def persisted? = !@values['id'].nil?
  def new_record? = !persisted?
  def ==(other) = other.class == self.class && persisted? && other.id == id

  def inspect
    "#<#{self.class.name} #{@values.except('token').map { |name, value| "#{name}: #{value.inspect}" }.join(', ')}>"
  end
end

# A user. Users are made elsewhere: by the seed.
class User < Record
  stored_in 'users', :id, :username, :name, :email, :admin, :state

  def self.find_by_username(username) = find_by(username: username)
  def self.find_by_email(email) = find_by(email: email)
  def self.admins = where(admin: true)
  def self.active = where(state: 'active')

  def admin? = admin
  def active? = state == 'active'
  def blocked? = !active?
  def personal_access_tokens = Relation.new(PersonalAccessToken, 'user_id' => id)
end

# A personal access token. Its value is known only while the object that made it lives.
class PersonalAccessToken < Record
  # docs: user/profile/personal_access_tokens, "Personal access token scopes"
  SCOPES = %w[
    api read_user read_api read_repository write_repository read_registry write_registry read_virtual_registry
    write_virtual_registry sudo admin_mode create_runner manage_runner ai_features k8s_proxy self_rotate
    read_service_ping
  ].freeze
  # Days for which a token may be good; "Access token expiration" in the same place.
  LONGEST = 365

  stored_in 'personal_access_tokens', :id, :user_id, :name, :revoked, :created_at, :last_used_at

  attr_reader :token

  def self.active = where(active: true)

  def self.find_by_token(value)
    Records.ask('table' => table, 'token' => value.to_s).map { |row| new(row) }.first
  end

  def initialize(values = {})
    super
    @token = nil
    user = @values.delete('user')
    @values['user_id'] = user.id if user
  end

  def scopes = Array(@values['scopes']).map(&:to_sym)
  def user = User.find(user_id)
  def revoked? = !!revoked
  def expired? = !expires_at.nil? && expires_at <= Date.current
  def expires? = !expires_at.nil?
  def active? = persisted? && !revoked? && !expired?

  # A date, whatever it was given as.
  def expires_at
    value = @values['expires_at']
    case value
    when nil then nil
    when Time then value.utc.to_date
    when Date then value
    else Date.iso8601(value.to_s)
    end
  rescue Date::Error
    nil
  end

  %w[name scopes expires_at revoked].each { |name| define_method(:"#{name}=") { |value| @values[name] = value } }

  def set_token(value)
    @token = value
  end

  def valid?
    errors.clear
    errors.add(:name, "can't be blank") if name.to_s.strip.empty?
    errors.add(:scopes, "can't be blank") if scopes.empty?
    errors.add(:scopes, 'can only contain available scopes') unless (scopes.map(&:to_s) - SCOPES).empty?
    errors.add(:user, "can't be blank") if user_id.nil?
    expiry
    errors.empty?
  end

  def save
    return false unless valid?

    @token ||= "glpat-#{SecureRandom.urlsafe_base64(15)}" if new_record?
    row = Records.ask('table' => self.class.table, 'save' => stored).first
    @values = row
    true
  end

  def save! = save || raise(ActiveRecord::RecordInvalid, self)

  def update(attributes)
    attributes.each { |name, value| public_send(:"#{name}=", value) }
    save
  end

  def update!(attributes) = update(attributes) || raise(ActiveRecord::RecordInvalid, self)
  def revoke! = update!(revoked: true)

  def reload
    @values = self.class.find(id).instance_variable_get(:@values)
    self
  end

  private

  def expiry
    latest = Date.current + LONGEST
    if expires_at.nil?
      errors.add(:expires_at, "can't be blank")
    elsif new_record? && expires_at > latest
      errors.add(:expires_at, "must be before #{latest}")
    end
  end

  def stored
    {
      'id' => id, 'user_id' => user_id, 'name' => name, 'scopes' => scopes.map(&:to_s),
      'expires_at' => expires_at.iso8601, 'revoked' => revoked?, 'token' => token
    }
  end
end
