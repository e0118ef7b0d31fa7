// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";

/// @title CODEX on the embedded chain
/// @notice For development: its owner mints. A company configures the token it already has.
contract Codex is ERC20, ERC20Permit, Ownable {
    constructor(address owner_) ERC20("Codex", "CODEX") ERC20Permit("Codex") Ownable(owner_) {}

    function mint(address to, uint256 amount) external onlyOwner {
        _mint(to, amount);
    }
}
