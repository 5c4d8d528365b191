-- Explains the five dialects of connme in Wireshark and tshark, from version 3.6 on.
--
-- Put this file into the folder that Help > About Wireshark > Folders calls "Personal Lua Plugins", or run
--   wireshark -X lua_script:connme.lua        tshark -X lua_script:connme.lua
-- The ports are preferences of the protocol connme. On any other port: "Decode As", connme_text and so on, or
--   tshark -d tcp.port==4000,connme_text
--
-- How it works. TCP brings each direction of a connection as a flow of bytes. A reader, which is a coroutine,
-- takes messages off each flow and waits where a message is not complete. Only the first time that a packet
-- comes its bytes go to a reader. What the reader finds is kept by the number of the packet, so that packets
-- can be shown again in any order. The bytes of a payload are counted and not kept.

local connme = Proto("connme", "connme")

local field = {
  dialect = ProtoField.string("connme.dialect", "Dialect"),
  command = ProtoField.string("connme.command", "Command"),
  name = ProtoField.string("connme.name", "Name", base.UNICODE),
  size = ProtoField.uint64("connme.size", "Size"),
  text = ProtoField.string("connme.text", "Text", base.UNICODE),
  sum = ProtoField.string("connme.sum", "SHA-256"),
  offset = ProtoField.uint64("connme.offset", "Offset"),
  answer = ProtoField.string("connme.answer", "Answer", base.ASCII, "Y or N, whether to remove a file"),
  acknowledgement = ProtoField.bytes("connme.acknowledgement", "Acknowledgement", base.SPACE, "Any byte, which asks for the next part"),
  reply = ProtoField.string("connme.reply", "Reply", base.UNICODE),
  code = ProtoField.string("connme.code", "Error code"),
  stored = ProtoField.string("connme.stored", "Stored as", base.UNICODE),
  entries = ProtoField.uint32("connme.entries", "Number of entries"),
  entry = ProtoField.string("connme.entry", "Entry", base.UNICODE),
  total = ProtoField.uint64("connme.total", "Total of bytes"),
  characters = ProtoField.uint64("connme.characters", "Number of characters"),
  seconds = ProtoField.float("connme.seconds", "Seconds"),
  id = ProtoField.string("connme.id", "Id"),
  json = ProtoField.string("connme.json", "JSON", base.UNICODE),
  payload = ProtoField.uint32("connme.payload", "Bytes of payload in this packet"),
  sofar = ProtoField.uint64("connme.payload.sofar", "Bytes of payload so far"),
  part = ProtoField.uint32("connme.part", "Bytes of a message that is not complete"),
  request = ProtoField.framenum("connme.request", "The request is in", base.NONE, frametype.REQUEST),
}
connme.fields = field

local wrong = {
  bad_size = ProtoExpert.new("connme.bad_size", "Expected a size header: 1 to 19 digits",
    expert.group.MALFORMED, expert.severity.ERROR),
  refused = ProtoExpert.new("connme.refused", "The error reply of the server",
    expert.group.RESPONSE_CODE, expert.severity.NOTE),
  ahead = ProtoExpert.new("connme.refused_upload",
    "Size header of an upload that was refused: the server closes, and reads no payload",
    expert.group.SEQUENCE, expert.severity.WARN),
  after = ProtoExpert.new("connme.after_close", "Bytes after the close: they are not read",
    expert.group.SEQUENCE, expert.severity.WARN),
  half = ProtoExpert.new("connme.half", "Half a message: the stream ended before the message did",
    expert.group.MALFORMED, expert.severity.WARN),
  short = ProtoExpert.new("connme.short", "The payload was cut short",
    expert.group.MALFORMED, expert.severity.WARN),
  unknown = ProtoExpert.new("connme.unknown", "Unknown command",
    expert.group.PROTOCOL, expert.severity.NOTE),
  unasked = ProtoExpert.new("connme.unasked", "A reply without a request",
    expert.group.SEQUENCE, expert.severity.NOTE),
  no_reply = ProtoExpert.new("connme.bad_reply", "Not a reply of this dialect",
    expert.group.MALFORMED, expert.severity.ERROR),
  long = ProtoExpert.new("connme.too_long", "Longer than a message may be",
    expert.group.MALFORMED, expert.severity.ERROR),
  no_json = ProtoExpert.new("connme.bad_json", "Not a JSON object on a line",
    expert.group.MALFORMED, expert.severity.ERROR),
  given_up = ProtoExpert.new("connme.given_up", "The client gave this upload up: a command is where the size would be",
    expert.group.SEQUENCE, expert.severity.NOTE),
  missing = ProtoExpert.new("connme.missing", "Bytes are missing in this capture: a message may not be recognized",
    expert.group.UNDECODED, expert.severity.NOTE),
}
connme.experts = wrong

local LINE = 4096
local MESSAGE = 65536
local DIGITS = 19

-- A pause that ends a size in filesaver, in seconds: servers make one of 0.05.
local PAUSE = 0.03

-- How many segments wait for one that was lost, before it is given up.
local HELD = 200

-- What is known of each TCP connection, by the number that Wireshark gives it.
local talks = {}
-- What to show of each packet: a list of messages, or the transfer that the whole packet is a part of.
local shown = {}
-- How many bytes of its transfer came up to the end of such a packet.
local progress = {}
-- What to show of packets that end a direction, or that TCP has not passed on because they came late.
local endings = {}
-- How many segments wait for one before them.
local waiting = 0

function connme.init()
  talks, shown, progress, endings, waiting = {}, {}, {}, {}, 0
end

-- ---------------------------------------------------------------------------------------------------------
-- A flow: the bytes of one direction, in order.

local function new_flow()
  return {
    data = "",      -- bytes that no message has taken yet
    at = 0,         -- where they begin, counted from the first byte of the packet that is read now
    scanned = 0,    -- how many of them were looked at for an LF
    missing = 0,    -- bytes after them that the capture has cut off
    held = {},      -- segments that came too early
    out = {},       -- the messages of the packet that is read now
    gap = 0,        -- seconds between the last two packets
    ended = false,
  }
end

local function wait(flow)
  coroutine.yield()
end

-- Leaves out what is left of a message that the capture has cut off. Its reader begins again.
local function lose(flow)
  flow.out[#flow.out + 1] = {
    label = "Cut off in this capture", at = flow.at, length = #flow.data, notes = { wrong.missing },
  }
  flow.data, flow.missing, flow.scanned = "", 0, 0
  coroutine.yield("lost")
end

local function take(flow, n)
  local bytes, at = flow.data:sub(1, n), flow.at
  flow.data = flow.data:sub(n + 1)
  flow.at = at + n
  flow.scanned = 0
  return bytes, at
end

-- Waits for n bytes and takes them. Returns nothing if the flow ends before.
local function take_all(flow, n)
  while #flow.data < n do
    if flow.ended then return nil end
    if flow.missing > 0 then lose(flow) end
    wait(flow)
  end
  return take(flow, n)
end

-- Takes a line, without its end. Returns it, where it is, and its length with the end. Or nothing and whether
-- the line is too long. `complete` may tell that the bytes so far are a message without an LF.
local function take_line(flow, most, complete)
  while true do
    local lf = flow.data:find("\n", flow.scanned + 1, true)
    if lf and lf <= most + 2 then
      local bytes, at = take(flow, lf)
      return (bytes:sub(1, -2):gsub("\r$", "")), at, lf
    end
    if complete and complete(flow.data) then
      local n = #flow.data
      local bytes, at = take(flow, n)
      return bytes, at, n
    end
    flow.scanned = #flow.data
    if flow.ended then return nil end
    if flow.missing > 0 then lose(flow) end
    if #flow.data > most then
      local n = #flow.data
      local _, at = take(flow, n)
      flow.out[#flow.out + 1] =
        { label = "A message that is too long", at = at, length = n, notes = { wrong.long } }
      return nil, true
    end
    wait(flow)
  end
end

-- Adds a message to the packet that is read now: what it is, where, and its fields as { field, value }.
local function say(flow, label, bytes, at, fields, length)
  local message = { label = label, at = at, length = length or #bytes, notes = {} }
  for _, pair in ipairs(fields) do
    if pair[2] ~= nil then message[#message + 1] = pair end
  end
  -- Bytes of earlier packets are shown in a view of their own.
  if at < 0 then message.whole = bytes end
  flow.out[#flow.out + 1] = message
  return message
end

local function note(message, what)
  message.notes[#message.notes + 1] = what
end

-- Counts off a payload. Returns whether all of it came.
local function take_payload(flow, size, name)
  local transfer = { is_transfer = true, size = size, name = name, sofar = 0 }
  flow.transfer = transfer
  while transfer.sofar < size do
    local here = math.min(#flow.data + flow.missing, size - transfer.sofar)
    if here > 0 then
      local there = math.min(#flow.data, here)
      local _, at = take(flow, there)
      -- What lies after a part that was cut off cannot be read.
      flow.missing = flow.missing - (here - there)
      flow.at = at + here
      transfer.sofar = transfer.sofar + here
      flow.out[#flow.out + 1] =
        { payload = here, sofar = transfer.sofar, transfer = transfer, at = at, length = here, notes = {} }
    elseif flow.ended then
      return false
    else
      wait(flow)
    end
  end
  flow.transfer = nil
  return true
end

-- The rest of a flow, to its end.
local function take_rest(flow, label, what)
  while true do
    local n = #flow.data + flow.missing
    if n > 0 then
      local at = flow.at
      flow.data, flow.missing, flow.at = "", 0, at + n
      flow.out[#flow.out + 1] = { label = label, at = at, length = n, notes = { what } }
    end
    if flow.ended then return end
    wait(flow)
  end
end

-- A size as the wire has it, or nothing.
local function size_of(text)
  if text and #text <= DIGITS and text:find("^%d+$") then return tonumber(text) end
end

local function expects(talk, request)
  request.frame = talk.frame
  talk.queue[#talk.queue + 1] = request
end

local function next_request(talk)
  return table.remove(talk.queue, 1)
end

local function request_of(request)
  return { field.request, request and request.frame }
end

-- ---------------------------------------------------------------------------------------------------------
-- The dialects: a reader for each direction.

local dialects = {}

-- text: lines, and a size header before each payload.

local text = { long = "newline-delimited commands", port = "1234" }
dialects.text = text

local TEXT_COMMANDS = {
  connme = true, conme = true, ls = "name", size = "name", rm = "name", download = "name", upload = "name",
  count = "text", sum = "name", resume = "resume", help = true, byebye = true,
}

function text.client(talk, flow)
  local upload
  while true do
    local line, at, length = take_line(flow, LINE)
    if not line then
      -- Half a command is answered too, and one that is too long.
      if at or #flow.data > 0 then expects(talk, {}) end
      return
    end
    local size = size_of(line)
    if line:find("^%d+$") then
      local header = say(flow, "size header " .. line, line, at, { { field.size, line } }, length)
      local name = upload and upload.name
      if not upload then
        note(header, wrong.bad_size)
      elseif upload.refused then
        note(header, wrong.ahead)
      elseif not size then
        note(header, wrong.bad_size)
      end
      -- A line of digits is answered: when the payload is there, or because it is not wanted.
      expects(talk, { command = "upload", name = name, is_header = true, upload = upload })
      if not size or not upload or upload.refused then
        return take_rest(flow, "Not read by the server", wrong.after)
      end
      upload = nil
      if not take_payload(flow, size, name) then return end
    elseif upload and upload.is_ready then
      note(say(flow, line, line, at, {}, length), wrong.bad_size)
      expects(talk, { command = "upload", is_header = true, upload = upload })
      return take_rest(flow, "Not read by the server", wrong.after)
    elseif line ~= "" then
      upload = nil
      local word, rest = line:match("^%s*(%S*)%s*(.-)%s*$")
      local command = word:lower()
      local kind = TEXT_COMMANDS[command]
      local fields = { { field.command, command } }
      local request = { command = command }
      if kind == "text" then
        fields[2] = { field.text, rest }
      elseif kind == "resume" then
        local offset, sum, name = rest:match("^(%d+) +(%x+) +(.*)$")
        fields[2], fields[3], fields[4] = { field.offset, offset }, { field.sum, sum }, { field.name, name }
        request.name = name
      elseif kind == "name" and rest ~= "" then
        fields[2] = { field.name, rest }
        request.name = rest
      end
      local message = say(flow, line, line, at, fields, length)
      if not kind then note(message, wrong.unknown) end
      expects(talk, request)
      if command == "upload" then upload = request end
      if command == "byebye" then
        return take_rest(flow, "After the close", wrong.after)
      end
    end
  end
end

function text.server(talk, flow)
  while true do
    local line, at, length = take_line(flow, LINE * 2)
    if not line then return end
    local request = next_request(talk)
    local fields = { { field.reply, line }, request_of(request) }
    local word, rest = line:match("^(%S+) ?(.*)$")
    local command = request and request.command
    local payload, lines, total
    local notes = { not request and wrong.unasked or nil }
    if word == "error" then
      local code = rest:match("^(%S+)")
      fields[#fields + 1] = { field.code, code }
      notes[#notes + 1] = wrong.refused
      if request and request.command == "upload" then
        request.refused = true
        if request.is_header and request.upload and request.upload.refused then
          notes[#notes + 1] = wrong.ahead
        end
      end
    elseif word ~= "ok" then
      notes[#notes + 1] = wrong.no_reply
    elseif command == "upload" and not request.is_header then
      request.is_ready = true
    elseif command == "upload" then
      local size, stored = rest:match("^received (%d+) (.*)$")
      fields[#fields + 1] = { field.size, size }
      fields[#fields + 1] = { field.stored, stored }
    elseif command == "download" or command == "resume" then
      payload = size_of(rest)
      fields[#fields + 1] = { field.size, payload and rest }
      if not payload then notes[#notes + 1] = wrong.bad_size end
    elseif command == "size" then
      fields[#fields + 1] = { field.size, rest:match("^(%d+) bytes") }
    elseif command == "sum" then
      fields[#fields + 1] = { field.sum, rest:match("^%x+$") }
    elseif command == "count" then
      fields[#fields + 1] = { field.characters, rest:match("^%d+$") }
    elseif command == "ls" or command == "help" then
      lines = size_of(rest)
      total = command == "ls"
      fields[#fields + 1] = { field.entries, lines }
    end
    local message = say(flow, line, line, at, fields, length)
    for _, what in pairs(notes) do note(message, what) end
    for _ = 1, lines or 0 do
      local entry, from, long = take_line(flow, LINE * 2)
      if not entry then return end
      say(flow, entry, entry, from, { { field.entry, entry } }, long)
    end
    if lines and total then
      local entry, from, long = take_line(flow, LINE)
      if not entry then return end
      local bytes = entry:match("^total (%d+)$")
      local last = say(flow, entry, entry, from, { { field.total, bytes } }, long)
      if not bytes then note(last, wrong.no_reply) end
    end
    if payload and not take_payload(flow, payload, request.name) then return end
  end
end

-- struct: integers of a fixed width.

local struct = { long = "fixed-width integers", port = "1235" }
dialects.struct = struct

local STRUCT_COMMANDS = { "upload", "ls", "download", "rm", "size", "connme", "byebye" }

-- A little-endian integer.
local function little(bytes)
  local n = 0
  for i = #bytes, 1, -1 do n = n * 256 + bytes:byte(i) end
  return n
end

-- The same, with a sign.
local function signed(bytes)
  local n = little(bytes)
  return n >= 2 ^ (8 * #bytes - 1) and n - 2 ^ (8 * #bytes) or n
end

-- A number without a fraction: Lua before 5.3 has no other, later versions print one.
local function plain(n)
  return string.format("%.0f", n)
end

-- A float of four bytes.
local function float(bytes)
  local n = little(bytes)
  local exponent, fraction = math.floor(n / 2 ^ 23) % 256, n % 2 ^ 23
  local sign = n >= 2 ^ 31 and -1 or 1
  if exponent == 0 then return sign * fraction * 2 ^ -149 end
  return sign * (1 + fraction / 2 ^ 23) * 2 ^ (exponent - 127)
end

-- Takes one of these words. Returns nothing at the end of the flow, and false if no word begins like this.
local function take_word(flow, words)
  while true do
    local may_be = false
    for _, word in ipairs(words) do
      if flow.data:sub(1, #word) == word then return take(flow, #word) end
      may_be = may_be or word:sub(1, #flow.data) == flow.data
    end
    if flow.missing > 0 then lose(flow) end
    if not may_be then return false end
    if flow.ended then return nil end
    wait(flow)
  end
end

local function take_name(flow)
  local head, at = take_all(flow, 2)
  if not head then return end
  local name = take_all(flow, little(head))
  if name then return name, at, head .. name end
end

function struct.client(talk, flow)
  while true do
    while flow.data:find("^[\r\n ]") do take(flow, 1) end
    local command, at = take_word(flow, STRUCT_COMMANDS)
    if command == nil then return end
    if not command then
      local all, from = take(flow, #flow.data)
      note(say(flow, "unknown bytes", all, from, {}), wrong.unknown)
      wait(flow)
    elseif command == "ls" then
      say(flow, command, command, at, { { field.command, command } })
      local list = { command = command, acknowledgements = 0 }
      expects(talk, list)
      while not list.done or list.acknowledgements > 0 do
        -- The list says how many acknowledgements there will be.
        while #flow.data == 0 or not list.entries do
          if flow.ended then return end
          if list.done and list.acknowledgements == 0 then break end
          wait(flow)
        end
        if list.done and list.acknowledgements == 0 then break end
        local acknowledgement, from = take(flow, 1)
        list.acknowledgements = list.acknowledgements - 1
        say(flow, "acknowledgement", acknowledgement, from, { { field.acknowledgement, acknowledgement } })
      end
    elseif command == "byebye" then
      say(flow, command, command, at, { { field.command, command } })
      return take_rest(flow, "After the close", wrong.after)
    else
      say(flow, command, command, at, { { field.command, command } })
      expects(talk, { command = command, word = command == "connme" and "connected" or "ready" })
      if command ~= "connme" then
        local name, from, bytes = take_name(flow)
        if not name then return end
        say(flow, "name " .. name, bytes, from, { { field.name, name } })
        if command == "size" then
          expects(talk, { command = command, name = name, number = field.size })
        elseif command == "rm" then
          local answer, where = take_all(flow, 1)
          if not answer then return end
          say(flow, answer, answer, where, { { field.answer, answer } })
          if answer == "Y" then expects(talk, { command = command, name = name, number = field.reply }) end
        elseif command == "download" then
          local request = { command = command, name = name, number = field.size, has_payload = true }
          expects(talk, request)
          while not request.done do
            if flow.ended then return end
            wait(flow)
          end
          if request.size >= 0 then
            local acknowledgement, where = take_all(flow, 1)
            if not acknowledgement then return end
            say(flow, "acknowledgement", acknowledgement, where, { { field.acknowledgement, acknowledgement } })
            expects(talk, { command = command, name = name, is_float = true })
          end
        elseif command == "upload" then
          local given_up = false
          while #flow.data < 4 and not flow.ended and not given_up do
            given_up = flow.data == "ls" or flow.data == "rm"
            if not given_up then wait(flow) end
          end
          for _, word in ipairs(STRUCT_COMMANDS) do given_up = given_up or flow.data == word end
          if given_up then
            note(say(flow, "no size", "", flow.at, {}), wrong.given_up)
          else
            local number, where = take_all(flow, 4)
            if not number then return end
            local size = signed(number)
            local header = say(flow, "size " .. plain(size), number, where,
              { { field.size, size >= 0 and plain(size) or nil } })
            if size < 0 then
              note(header, wrong.bad_size)
              return take_rest(flow, "Not read by the server", wrong.after)
            end
            expects(talk, { command = command, name = name, word = "received", then_seconds = true })
            if not take_payload(flow, size, name) then return end
          end
        end
      end
    end
  end
end

local function take_seconds(flow, request)
  local bytes, at = take_all(flow, 4)
  if not bytes then return false end
  local seconds = float(bytes)
  say(flow, string.format("%.6f s", seconds), bytes, at, { { field.seconds, seconds }, request_of(request) })
  return true
end

function struct.server(talk, flow)
  while true do
    while #flow.data == 0 do
      if flow.ended then return end
      wait(flow)
    end
    local request = next_request(talk)
    if not request then
      local all, at = take(flow, #flow.data)
      note(say(flow, "unknown bytes", all, at, {}), wrong.unasked)
    elseif request.word then
      local word, at = take_word(flow, { request.word, "connected" })
      if word == nil then return end
      if request.word == "received" and word == "connected" then
        -- The file was refused, which this dialect cannot say. The client has asked whether it still is heard.
        request = next_request(talk)
      end
      if word then
        say(flow, word, word, at, { { field.reply, word }, request_of(request) })
        if word == "received" and not take_seconds(flow, request) then return end
      else
        local all, from = take(flow, #flow.data)
        note(say(flow, "unknown bytes", all, from, {}), wrong.no_reply)
      end
    elseif request.is_float then
      if not take_seconds(flow, request) then return end
    elseif request.command == "ls" then
      local number, at = take_all(flow, 4)
      if not number then return end
      local entries = math.max(signed(number), 0)
      request.entries = entries
      say(flow, plain(entries) .. (entries == 1 and " entry" or " entries"), number, at,
        { { field.entries, tonumber(plain(entries)) }, request_of(request) })
      for _ = 1, entries do
        local length, from = take_all(flow, 4)
        if not length then return end
        local name = take_all(flow, little(length))
        local size = name and take_all(flow, 4)
        if not size then return end
        say(flow, name, length .. name .. size, from,
          { { field.entry, name }, { field.name, name }, { field.size, plain(little(size)) } })
        request.acknowledgements = request.acknowledgements + 1
      end
      local total, from = take_all(flow, 4)
      if not total then return end
      request.done = true
      say(flow, "total " .. plain(signed(total)), total, from, { { field.total, plain(little(total)) } })
    else
      local number, at = take_all(flow, 4)
      if not number then return end
      local n = signed(number)
      request.size = n
      local fields = { { field.reply, plain(n) }, request_of(request) }
      if request.number == field.size and n >= 0 then fields[3] = { field.size, plain(n) } end
      local message = say(flow, plain(n), number, at, fields)
      if n < 0 then note(message, wrong.refused) end
      if request.has_payload and n > 0 and not take_payload(flow, n, request.name) then return end
      request.done = true
    end
  end
end

-- filesaver: a file that ends with the stream.

local filesaver = { long = "a file that ends with the stream", port = "5050" }
dialects.filesaver = filesaver

local SEPARATOR = "<SEPARATOR>"

-- Takes a size without an end mark. It ends before a byte that is no digit, or in a pause. The true size is
-- known at the end of the stream: it and the number of its digits are all that came after the separator.
local function take_size(flow)
  local n = 0
  while true do
    local digits = #flow.data:match("^%d*", n + 1)
    n = math.min(n + digits, DIGITS)
    if n < #flow.data or n == DIGITS or flow.missing > 0 then break end
    if flow.ended then break end
    wait(flow)
    if n > 0 and (flow.gap >= PAUSE or flow.ended) then break end
  end
  return take(flow, n)
end

-- A file up to the end of the stream. `lead` is the size as it seems to be.
local function take_file(flow, lead, name)
  local size = size_of(lead) or 0
  if size > 0 and not take_payload(flow, size, name) then return end
  take_rest(flow, "More than the size says", wrong.bad_size)
end

function filesaver.client(talk, flow)
  local word, at, length = take_line(flow, LINE, function(data) return data == "SEND" or data == "RECEIVE" end)
  if not word then return end
  local command = say(flow, word, word, at, { { field.command, word } }, length)
  if word ~= "SEND" and word ~= "RECEIVE" then
    note(command, wrong.unknown)
    return take_rest(flow, "Not read by the server", wrong.after)
  end
  local request = { command = word }
  expects(talk, request)
  -- The LF of a word that seemed to have none.
  if #flow.data == 0 and not flow.ended then wait(flow) end
  if flow.data:sub(1, 1) == "\n" then take(flow, 1) end
  if word == "RECEIVE" then
    local name, from, long = take_line(flow, LINE, function() return talk.server_spoke_twice end)
    if not name and #flow.data > 0 then
      long = #flow.data
      name, from = take(flow, long)
    end
    if not name then return end
    request.name = name
    say(flow, "name " .. name, name, from, { { field.name, name } }, long)
    return take_rest(flow, "After the name", wrong.after)
  end
  -- The name, alone on its line or joined to the metadata.
  local has_mark = false
  while true do
    if flow.data:find("\n", 1, true) then has_mark = true break end
    if flow.data:find(SEPARATOR, 1, true) then break end
    if flow.ended then return end
    if flow.missing > 0 then lose(flow) end
    wait(flow)
  end
  local name
  if has_mark then
    local bytes, from, long = take_line(flow, LINE)
    name = bytes
    say(flow, "name " .. name, bytes, from, { { field.name, name } }, long)
  end
  while not flow.data:find(SEPARATOR, 1, true) do
    if flow.ended then return end
    if flow.missing > 0 then lose(flow) end
    wait(flow)
  end
  local before = flow.data:find(SEPARATOR, 1, true) - 1
  local head, from = take(flow, before + #SEPARATOR)
  local again = head:sub(1, before)
  local is_same = again == name
  if not has_mark then
    name = again:sub(1, math.floor(before / 2))
    is_same = again == name .. name
  end
  local metadata = say(flow, "metadata of " .. name, head, from, { { field.name, name } })
  if not is_same then note(metadata, wrong.no_reply) end
  local digits, where, long
  if has_mark then
    digits, where, long = take_line(flow, LINE)
  else
    digits, where = take_size(flow)
  end
  if not digits then return end
  local size = say(flow, "size " .. digits, digits, where, { { field.size, size_of(digits) and digits } }, long)
  if not size_of(digits) then note(size, wrong.bad_size) end
  take_file(flow, digits, name)
end

local NOT_FOUND = "ERROR: File not found"

function filesaver.server(talk, flow)
  local ok, at = take_all(flow, 2)
  if not ok then return end
  local request = next_request(talk)
  local message = say(flow, ok, ok, at, { { field.reply, ok }, request_of(request) })
  if ok ~= "OK" then note(message, wrong.no_reply) end
  if not request then note(message, wrong.unasked) end
  while true do
    if flow.data ~= "" then talk.server_spoke_twice = true end
    local separator = flow.data:find(SEPARATOR, 1, true)
    if separator then
      local head, from = take(flow, separator - 1 + #SEPARATOR)
      local name = head:sub(1, separator - 1)
      say(flow, "metadata of " .. name, head, from, { { field.name, name }, request_of(request) })
      local digits, where = take_size(flow)
      local size = say(flow, "size " .. digits, digits, where, { { field.size, size_of(digits) and digits } })
      if not size_of(digits) then note(size, wrong.bad_size) end
      return take_file(flow, digits, name)
    end
    if flow.data == NOT_FOUND then
      local bytes, from = take(flow, #NOT_FOUND)
      local reply = say(flow, bytes, bytes, from,
        { { field.reply, bytes }, { field.code, "not-found" }, request_of(request) })
      note(reply, wrong.refused)
    end
    if flow.ended then return end
    if flow.missing > 0 then lose(flow) end
    wait(flow)
  end
end

-- json: an object on a line.

local json = { long = "a JSON object on a line", port = "31000" }
dialects.json = json

local ESCAPES = { b = "\b", f = "\f", n = "\n", r = "\r", t = "\t" }

local function utf8_of(n)
  if n < 0x80 then return string.char(n) end
  local tail = ""
  local first = 0xc0
  local most = 0x20
  repeat
    tail = string.char(0x80 + n % 0x40) .. tail
    n = math.floor(n / 0x40)
    if n >= most then
      first = first + most
      most = most / 2
    end
  until n < most
  return string.char(first + n) .. tail
end

local parse_value

local function parse_string(s, i)
  local out = {}
  while true do
    local stop = s:find('["\\]', i)
    if not stop then return nil end
    out[#out + 1] = s:sub(i, stop - 1)
    if s:sub(stop, stop) == '"' then return table.concat(out), stop + 1 end
    local escape = s:sub(stop + 1, stop + 1)
    i = stop + 2
    if escape == "u" then
      local n = tonumber(s:match("^%x%x%x%x", i) or "", 16)
      if not n then return nil end
      i = i + 4
      local low = n >= 0xd800 and n < 0xdc00 and tonumber(s:match("^\\u(%x%x%x%x)", i) or "", 16)
      if low and low >= 0xdc00 and low < 0xe000 then
        n = 0x10000 + (n - 0xd800) * 0x400 + (low - 0xdc00)
        i = i + 6
      end
      out[#out + 1] = utf8_of(n)
    else
      out[#out + 1] = ESCAPES[escape] or escape
    end
  end
end

-- The members of an object, or the elements of an array. `depth` keeps a deep value from taking the stack.
local function parse_inside(s, i, close, depth)
  local found = {}
  if depth > 50 then return nil end
  i = s:find("%S", i)
  if i and s:sub(i, i) == close then return found, i + 1 end
  while i do
    local key
    if close == "}" then
      if s:sub(i, i) ~= '"' then return nil end
      key, i = parse_string(s, i + 1)
      i = i and s:match("^%s*:%s*()", i)
      if not i then return nil end
    end
    local value
    value, i = parse_value(s, i, depth + 1)
    if not i then return nil end
    if key then found[key] = value else found[#found + 1] = value end
    local mark, after = s:match("^%s*([,%]}])%s*()", i)
    if mark == close then return found, after end
    if mark ~= "," then return nil end
    i = after
  end
end

-- Returns the value and where the text goes on, or nothing. A number stays text, so that it keeps its digits.
function parse_value(s, i, depth)
  i = s:find("%S", i)
  local first = i and s:sub(i, i)
  if not first then return nil end
  if first == '"' then return parse_string(s, i + 1) end
  if first == "{" then return parse_inside(s, i + 1, "}", depth) end
  if first == "[" then return parse_inside(s, i + 1, "]", depth) end
  local word, after = s:match("^([%w%.%+%-]+)()", i)
  if not word then return nil end
  if word == "null" then return false, after end
  return word, after
end

local function parse_json(s)
  local value, after = parse_value(s, 1, 0)
  return after and value
end

local function text_or_nothing(value)
  return type(value) == "string" and value or nil
end

local function add_record(fields, record)
  if type(record) ~= "table" then return end
  fields[#fields + 1] = { field.name, text_or_nothing(record.nama_file) }
  fields[#fields + 1] = { field.size, size_of(text_or_nothing(record.size)) and record.size }
  fields[#fields + 1] = { field.id, text_or_nothing(record.id) }
end

function json.client(talk, flow)
  local line, at, length = take_line(flow, MESSAGE)
  if not line then return end
  local object = parse_json(line)
  object = type(object) == "table" and object or nil
  local from = object or {}
  local command, name = text_or_nothing(from.aksi), text_or_nothing(from.file)
  local size = size_of(text_or_nothing(from.size))
  local label = object and (command or "no aksi") .. " " .. (name or text_or_nothing(from.id) or "") or line
  local message = say(flow, label, line, at, {
    { field.command, command }, { field.name, name }, { field.id, text_or_nothing(from.id) },
    { field.size, size and from.size }, { field.json, line },
  }, length)
  expects(talk, { command = command, name = name })
  if not object then note(message, wrong.no_json) end
  if command == "transfer" then
    if not size then note(message, wrong.bad_size)
    elseif not take_payload(flow, size, name) then return end
  end
  take_rest(flow, "After the request", wrong.after)
end

function json.server(talk, flow)
  local line, at, length = take_line(flow, 2 ^ 31, function(data) return data == "null" end)
  if not line then return end
  local request = next_request(talk)
  local fields = { { field.reply, line }, request_of(request) }
  local command = request and request.command
  local code, size
  local rest = line:match("^OK (.*)$")
  local value = parse_json(rest or line)
  if line == "null" then
    code = "not-found"
  elseif line == "ERRCMD" then
    code = "unknown-command"
  elseif line:find("^ERROR ") then
    code = line:match("^ERROR (%S+)")
  elseif type(value) ~= "table" then
    code = false
  elseif command == "list" then
    fields[#fields + 1] = { field.entries, #value }
    for _, record in ipairs(value) do
      fields[#fields + 1] = { field.entry, type(record) == "table" and text_or_nothing(record.nama_file) or nil }
    end
  else
    add_record(fields, value)
    size = command == "get" and size_of(text_or_nothing(value.size))
  end
  if code then fields[#fields + 1] = { field.code, code } end
  local message = say(flow, line, line, at, fields, length)
  if not request then note(message, wrong.unasked) end
  if code then note(message, wrong.refused) elseif code == false then note(message, wrong.no_reply) end
  if size and not take_payload(flow, size, text_or_nothing(value.nama_file)) then return end
  take_rest(flow, "After the reply", wrong.no_reply)
end

-- count: one message, which nothing ends but an LF, a pause or the close. So each packet shows what came so far.

local count = { long = "one message a connection", port = "12345" }
dialects.count = count

function count.client(talk, flow)
  expects(talk, { command = "count" })
  local so_far = ""
  while true do
    if flow.missing > 0 then lose(flow) end
    if flow.data ~= "" then
      local lf = flow.data:find("\n", 1, true)
      local bytes, at = take(flow, lf or #flow.data)
      so_far = (so_far .. bytes):sub(1, MESSAGE + 2)
      local message = so_far:gsub("\r?\n$", "")
      say(flow, "count " .. message, bytes, at, { { field.command, "count" }, { field.text, message } })
      if lf then return take_rest(flow, "After the message", wrong.after) end
    end
    if flow.ended then return end
    wait(flow)
  end
end

function count.server(talk, flow)
  local so_far = ""
  local request
  while true do
    if flow.missing > 0 then lose(flow) end
    if flow.data ~= "" then
      request = request or next_request(talk)
      local bytes, at = take(flow, #flow.data)
      so_far = (so_far .. bytes):sub(1, 512)
      local number = so_far:match("^%d+$")
      local message = say(flow, so_far, bytes, at,
        { { field.reply, so_far }, { field.characters, number }, request_of(request) })
      if so_far:find("^error: ") then
        note(message, wrong.refused)
      elseif not number and so_far ~= ("error: "):sub(1, #so_far) then
        note(message, wrong.no_reply)
      end
    end
    if flow.ended then return end
    wait(flow)
  end
end

-- ---------------------------------------------------------------------------------------------------------
-- From packets to flows.

local tcp_stream = Field.new("tcp.stream")
local tcp_seq = Field.new("tcp.seq")
local tcp_flags = Field.new("tcp.flags")
local tcp_len = Field.new("tcp.len")
local tcp_payload = Field.new("tcp.payload")

-- The value of the last one, if a packet is inside another.
local function last(...)
  local n = select("#", ...)
  local found = n > 0 and select(n, ...)
  return found and found.value
end

-- Lets the reader of a flow go on, until it waits again.
local function read_on(talk, flow)
  if not flow.reader then
    local dialect = dialects[talk.dialect]
    local reader = flow.is_client and dialect.client or dialect.server
    flow.reader = coroutine.create(function() return reader(talk, flow) end)
  end
  local went, what = coroutine.resume(flow.reader)
  if not went then error(what, 0) end
  if what == "lost" then
    flow.reader = nil
  elseif coroutine.status(flow.reader) == "dead" then
    flow.is_over = true
  end
end

local function part_of_a_message(flow)
  return #flow.data .. (#flow.data == 1 and " byte" or " bytes") .. " of a message"
end

-- Gives bytes to a flow, of which `missing` more were not captured.
local function feed(talk, flow, bytes, missing)
  if #bytes + missing == 0 then return end
  if flow.is_over then
    flow.out[#flow.out + 1] =
      { label = "After the end", at = flow.at, length = #bytes + missing, notes = { wrong.after } }
    flow.at = flow.at + #bytes + missing
    return
  end
  flow.data, flow.missing = flow.data .. bytes, flow.missing + missing
  read_on(talk, flow)
  -- The reader of the other side may have waited for what this one has found.
  local other = flow.is_client and talk.server or talk.client
  if other.reader and not other.is_over and other.data ~= "" and talk.dialect == "struct" then
    read_on(talk, other)
  end
end

-- Sequence numbers begin again after 2^32.
local function distance(from, to)
  local d = (to - from) % 2 ^ 32
  return d >= 2 ^ 31 and d - 2 ^ 32 or d
end

-- Puts the bytes of a packet where they belong in their flow.
local function arrive(talk, flow, sequence, bytes, length)
  local expected = flow.expected or sequence
  local early = distance(expected, sequence)
  local missing = length - #bytes
  flow.expected = expected
  if early > 0 then
    if #flow.held < HELD then
      flow.held[#flow.held + 1] = { sequence, bytes, length }
      waiting = waiting + 1
      flow.out[#flow.out + 1] =
        { label = "Earlier bytes are missing", at = 0, length = #bytes, notes = { wrong.missing } }
      return
    end
    -- They will not come any more.
    feed(talk, flow, "", early)
  elseif early < 0 then
    -- Sent again: only what is new counts.
    local old = math.min(-early, length)
    missing = length - math.max(#bytes, old)
    bytes, length = bytes:sub(old + 1), length - old
    sequence = sequence + old
    flow.at = flow.at + old
    if length == 0 then
      flow.out[#flow.out + 1] = { label = "Sent again", at = 0, length = 0, notes = {} }
      return
    end
  end
  feed(talk, flow, bytes, missing)
  flow.expected = (sequence + length) % 2 ^ 32
  -- Those that came too early may follow now.
  local again = true
  while again do
    again = false
    for i, held in ipairs(flow.held) do
      if distance(flow.expected, held[1]) <= 0 then
        table.remove(flow.held, i)
        waiting = waiting - 1
        local old = -distance(flow.expected, held[1])
        if old < held[3] then
          feed(talk, flow, held[2]:sub(old + 1), held[3] - math.max(#held[2], old))
          flow.expected = (held[1] + held[3]) % 2 ^ 32
        end
        again = true
        break
      end
    end
  end
end

local function talk_of(dialect, pinfo)
  local number = last(tcp_stream())
  local talk = talks[number]
  if not talk then
    talk = { dialect = dialect, queue = {}, client = new_flow(), server = new_flow() }
    talk.client.is_client = true
    talks[number] = talk
    -- Which side serves: the one whose port has led here, else the one that hears first.
    local port = pinfo.match_uint
    talk.port = pinfo.src_port == port and port or pinfo.dst_port
  end
  return talk
end

-- Reads a packet that is new.
local function read_packet(dialect, tvb, pinfo)
  local talk = talk_of(dialect, pinfo)
  local flow = pinfo.src_port == talk.port and talk.server or talk.client
  local now = pinfo.abs_ts
  flow.gap, flow.time = flow.time and now - flow.time or 0, now
  flow.out, flow.at = {}, -#flow.data
  talk.frame = pinfo.number
  if talk.was_reset or flow.ended or (flow.is_client and talk.server.ended and not flow.transfer) then
    return { { label = "After the close", at = 0, length = tvb:len(), notes = { wrong.after } } }
  end
  arrive(talk, flow, last(tcp_seq()), tvb:len() > 0 and tvb:raw() or "", tvb:reported_len())
  local out = flow.out
  local only = out[1]
  if #out == 1 and only.payload == tvb:reported_len() then
    progress[pinfo.number] = only.sofar
    return only.transfer
  end
  if #flow.data > 0 and #flow.held == 0 then
    local at = math.max(flow.at, 0)
    out[#out + 1] = {
      label = part_of_a_message(flow), at = at, length = tvb:len() - at, notes = {},
      { field.part, #flow.data },
    }
  end
  return out
end

-- ---------------------------------------------------------------------------------------------------------
-- What is shown.

local function escaped(label)
  if #label > 120 then
    local most = 117
    -- Not in the middle of a character: what follows would be one of its later bytes.
    while most > 114 and label:byte(most + 1) >= 0x80 and label:byte(most + 1) < 0xc0 do most = most - 1 end
    label = label:sub(1, most) .. "..."
  end
  return (label:gsub("[%z\1-\31\127]", function(c) return string.format("\\x%02x", c:byte()) end))
end

local function add(tree, range, pair)
  local kind, value = pair[1], pair[2]
  if kind == field.size or kind == field.total or kind == field.offset or kind == field.characters
    or kind == field.sofar then
    value = type(value) == "string" and UInt64.new(value)
      or UInt64.new(value % 2 ^ 32, math.floor(value / 2 ^ 32))
  elseif kind == field.acknowledgement then
    tree:add(kind, range)
    return
  end
  tree:add(kind, range, value)
end

-- A long transfer has many of these, so they do no more work than is seen.
local function show_payload(tree, range, transfer, here, sofar)
  local item = tree:add(field.payload, range, here)
  if tree.visible then
    item:append_text(escaped(string.format(": %.0f of %.0f of %s so far", sofar, transfer.size,
      transfer.name or "a file")))
  end
  add(tree, range, { field.sofar, sofar })
  return string.format("payload %.0f of %.0f", sofar, transfer.size)
end

local HEADS = {}
for name, dialect in pairs(dialects) do
  HEADS[name] = {
    "connme " .. name .. ", from the client: " .. dialect.long,
    "connme " .. name .. ", from the server: " .. dialect.long,
  }
end

local function show(messages, dialect, tvb, pinfo, tree)
  local talk = talks[last(tcp_stream())]
  local from_server = talk and pinfo.src_port == talk.port
  local all = tvb()
  local root = tree:add(connme, all, HEADS[dialect][from_server and 2 or 1])
  root:add(field.dialect, all, dialect):set_generated()
  local info = {}
  if messages.is_transfer then
    info[1] = show_payload(root, all, messages, tvb:reported_len(), progress[pinfo.number])
    messages = {}
  end
  for _, message in ipairs(messages) do
    -- What was captured of it in this packet.
    local at = math.min(math.max(message.at, 0), tvb:len())
    local range = tvb(at, math.max(math.min(message.at + message.length - at, tvb:len() - at), 0))
    if message.payload then
      info[#info + 1] = show_payload(root, range, message.transfer, message.payload, message.sofar)
    else
      if message.whole then
        range = ByteArray.new(message.whole, true):tvb("Message of several packets")()
      end
      local branch = root:add(connme, range, escaped(message.label))
      for _, pair in ipairs(message) do
        if pair[1] then add(branch, range, pair) end
      end
      for _, what in ipairs(message.notes) do branch:add_proto_expert_info(what) end
      if #info < 8 then info[#info + 1] = escaped(message.label) elseif #info == 8 then info[9] = "..." end
    end
  end
  pinfo.cols.protocol = "connme"
  pinfo.cols.info = (from_server and "< " or "> ") .. table.concat(info, " | ")
end

local function dissect(dialect, tvb, pinfo, tree)
  local number = pinfo.number
  -- The first pass of "tshark -2" has no fields: then the second one reads.
  if not last(tcp_stream()) then return tvb:len() end
  if not shown[number] then shown[number] = read_packet(dialect, tvb, pinfo) end
  show(shown[number], dialect, tvb, pinfo, tree)
  return tvb:len()
end

-- Reads the end of a direction, or of both.
local function read_end(pinfo, talk, is_reset)
  local notes = {}
  local function finish(flow)
    if flow.ended then return end
    flow.out, flow.at, flow.ended = {}, -#flow.data, true
    if #flow.held > 0 then return end
    if flow.reader and not flow.is_over then read_on(talk, flow) end
    for _, message in ipairs(flow.out) do notes[#notes + 1] = message end
    if flow.transfer then
      local of = string.format("%s of %s", plain(flow.transfer.sofar), plain(flow.transfer.size))
      notes[#notes + 1] = { label = "The stream ends after " .. of, notes = { wrong.short } }
    elseif #flow.data > 0 then
      notes[#notes + 1] = { label = part_of_a_message(flow), notes = { wrong.half } }
    end
  end
  talk.frame = pinfo.number
  local is_server = pinfo.src_port == talk.port
  if is_reset then
    finish(talk.client)
    finish(talk.server)
    talk.was_reset = true
  else
    finish(is_server and talk.server or talk.client)
  end
  return notes
end

-- Reads a segment that TCP passes to no dissector, because later ones came before it.
local function read_late(pinfo, talk)
  local flow = pinfo.src_port == talk.port and talk.server or talk.client
  local payload = #flow.held > 0 and last(tcp_payload())
  if not payload then return {} end
  flow.out, flow.at = {}, -#flow.data
  talk.frame = pinfo.number
  arrive(talk, flow, last(tcp_seq()), payload:raw(), last(tcp_len()))
  return flow.out
end

-- The ends of streams have no bytes, so only something that comes after all dissectors sees them.
local ends = Proto("connme_ends", "connme, the ends of streams")

function ends.dissector(tvb, pinfo, tree)
  local number = pinfo.number
  local flags = endings[number] == nil and last(tcp_flags())
  -- FIN is the lowest bit, and RST the third.
  local is_end = flags and (flags % 2 == 1 or flags % 8 >= 4)
  local talk = (is_end or (flags and waiting > 0)) and talks[last(tcp_stream())]
  if talk then
    local found = not shown[number] and read_late(pinfo, talk) or {}
    for _, message in ipairs(is_end and read_end(pinfo, talk, flags % 8 >= 4) or {}) do
      found[#found + 1] = message
    end
    endings[number] = #found > 0 and found
  end
  local found = endings[number]
  if not found then return end
  local nothing = tvb(0, 0)
  local root = tree:add(connme, nothing, "connme, put in order or ended by this packet")
  for _, message in ipairs(found) do
    if message.payload then
      show_payload(root, nothing, message.transfer, message.payload, message.sofar)
    else
      local branch = root:add(connme, nothing, escaped(message.label))
      for _, pair in ipairs(message) do
        if pair[1] then add(branch, nothing, pair) end
      end
      for _, what in ipairs(message.notes) do branch:add_proto_expert_info(what) end
    end
  end
end

register_postdissector(ends)

-- ---------------------------------------------------------------------------------------------------------
-- Ports.

local by_port = DissectorTable.get("tcp.port")
local ORDER = { "text", "struct", "filesaver", "json", "count" }
local protos, ports = {}, {}

for _, name in ipairs(ORDER) do
  local dialect = dialects[name]
  protos[name] = Proto("connme_" .. name, "connme " .. name .. ", " .. dialect.long)
  protos[name].dissector = function(tvb, pinfo, tree) return dissect(name, tvb, pinfo, tree) end
  connme.prefs[name .. "_ports"] = Pref.range("Ports of " .. name, dialect.port,
    "The ports of servers that speak the dialect " .. name, 65535)
  ports[name] = dialect.port
  by_port:add(dialect.port, protos[name])
end

function connme.prefs_changed()
  for _, name in ipairs(ORDER) do
    local now = connme.prefs[name .. "_ports"]
    if now ~= ports[name] then
      if ports[name] ~= "" then by_port:remove(ports[name], protos[name]) end
      if now ~= "" then by_port:add(now, protos[name]) end
      ports[name] = now
    end
  end
end
