// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @notice Calls its holder's target in the middle of a transfer, as ERC-777 tokens do
contract ReentrantToken is ERC20("Reentrant", "RE") {
    address public target;
    bytes public data;
    bool public succeeded;
    bytes public answer;

    constructor(address to) {
        _mint(to, 1e30);
    }

    function arm(address target_, bytes calldata data_) external {
        target = target_;
        data = data_;
    }

    function _update(address from, address to, uint256 value) internal override {
        super._update(from, to, value);
        if (target == address(0)) return;
        address called = target;
        target = address(0);
        (succeeded, answer) = called.call(data);
    }
}
