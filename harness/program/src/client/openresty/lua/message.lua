-- What the server's messages are made of.

local message = {}

function message.to_int(bytes)
    local a, b, c, d = bytes:byte(1, 4)
    return ((a * 256 + b) * 256 + c) * 256 + d
end

-- The fields of an ErrorResponse by their codes.
function message.fields(body)
    local fields = {}
    for kind, value in body:gmatch "(%Z)(%Z*)%z" do
        fields[kind] = value
    end
    return fields
end

return message
