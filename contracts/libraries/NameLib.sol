// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title The grammar of namespaces and repository names
library NameLib {
    uint256 private constant NAMESPACE_MIN = 3;
    uint256 private constant NAMESPACE_MAX = 39;
    uint256 private constant NAME_MAX = 99;
    uint256 private constant ADDRESS_LENGTH = 42;

    uint256 private constant HYPHEN = 0x2d;
    uint256 private constant DOT = 0x2e;
    uint256 private constant UNDERSCORE = 0x5f;
    /// @dev Sets of characters: the bit at a character's code is set.
    uint256 private constant ALPHANUMERIC = (((1 << 10) - 1) << 0x30) | (((1 << 26) - 1) << 0x61);
    uint256 private constant NAME_CHARACTERS = ALPHANUMERIC | (1 << HYPHEN) | (1 << DOT) | (1 << UNDERSCORE);
    uint256 private constant NAME_STARTS = ALPHANUMERIC | (1 << UNDERSCORE);

    /// @notice 3 to 39 lower-case letters, digits and single inner hyphens, not starting with `0x`
    function isReadableNamespace(string calldata text) internal pure returns (bool) {
        bytes calldata name = bytes(text);
        uint256 length = name.length;
        if (length < NAMESPACE_MIN || length > NAMESPACE_MAX) return false;
        if (name[0] == "0" && name[1] == "x") return false;
        bool afterHyphen = true;
        for (uint256 i = 0; i < length; ++i) {
            uint256 char = uint8(name[i]);
            bool hyphen = char == HYPHEN;
            if (hyphen ? afterHyphen : !_isIn(ALPHANUMERIC, char)) return false;
            afterHyphen = hyphen;
        }
        return !afterHyphen;
    }

    /// @notice 1 to 99 of a-z 0-9 . _ - without a leading dot or hyphen, `..`, or a trailing `.lock`
    function isRepositoryName(string calldata text) internal pure returns (bool) {
        bytes calldata name = bytes(text);
        uint256 length = name.length;
        if (length == 0 || length > NAME_MAX) return false;
        if (!_isIn(NAME_STARTS, uint8(name[0]))) return false;
        uint256 before = 0;
        for (uint256 i = 0; i < length; ++i) {
            uint256 char = uint8(name[i]);
            if (!_isIn(NAME_CHARACTERS, char)) return false;
            if (char == DOT && before == DOT) return false;
            before = char;
        }
        return length < 5 || bytes5(name[length - 5:]) != ".lock";
    }

    /// @notice Reads `0x` and 40 lower-case hex digits
    function parseAddress(string calldata text) internal pure returns (bool ok, address parsed) {
        bytes calldata digits = bytes(text);
        if (digits.length != ADDRESS_LENGTH || digits[0] != "0" || digits[1] != "x") return (false, address(0));
        uint256 value = 0;
        for (uint256 i = 2; i < ADDRESS_LENGTH; ++i) {
            uint256 char = uint8(digits[i]);
            unchecked {
                // NOTE: what lies below `0` or between `9` and `a` wraps or falls out of range.
                uint256 digit = char - 0x30;
                if (digit > 9) {
                    digit = char - 0x57;
                    if (digit < 10 || digit > 15) return (false, address(0));
                }
                value = (value << 4) | digit;
            }
        }
        return (true, address(uint160(value)));
    }

    function _isIn(uint256 set, uint256 char) private pure returns (bool) {
        return (set >> char) & 1 == 1;
    }
}
