// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {RegistryFixture} from "./RegistryFixture.sol";
import {RegistryHandler} from "./RegistryHandler.sol";

contract RegistryInvariants is RegistryFixture {
    RegistryHandler private handler;

    function setUp() public override {
        super.setUp();
        handler = new RegistryHandler(registry);
        target(address(handler));
    }

    function invariant_heads_move_only_along_the_chain() external view {
        uint256 total = 0;
        for (uint256 i = 0; i < 3; ++i) {
            bytes32 repo = handler.repos(i);
            bytes32 head = registry.headOf(repo);
            vm.assertEq(head, handler.heads(repo));
            total += uint40(uint256(head));
        }
        vm.assertEq(total, handler.moved(), "the numbers do not add up to the pushes");
    }

    function invariant_every_batch_has_a_root() external view {
        uint64 count = registry.batchCount();
        vm.assertEq(count, handler.batches());
        for (uint64 number = 1; number <= count; ++number) {
            vm.assertTrue(registry.batchRoots(number) != bytes32(0));
        }
        vm.assertEq(registry.batchRoots(0), bytes32(0));
        vm.assertEq(registry.batchRoots(count + 1), bytes32(0));
    }
}
